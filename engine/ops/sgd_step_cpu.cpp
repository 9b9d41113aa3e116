#include <algorithm>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/sgd_step.h"

namespace invp::cpu {

namespace {

struct Pointers {
  float* weight;
  const float* gradient;
  float* momentum;
};

void update(const Pointers& p, std::int64_t begin, std::int64_t end, bool first,
            const SgdHyper& hyper) {
  float* __restrict w = p.weight;
  const float* __restrict g = p.gradient;
  float* __restrict v = p.momentum;
  const auto lr = static_cast<float>(hyper.lr);
  const auto momentum = static_cast<float>(hyper.momentum);
  const auto decay = static_cast<float>(hyper.weight_decay);
  if (first) {
    for (std::int64_t i = begin; i < end; ++i) {
      v[i] = g[i] + decay * w[i];
      w[i] -= lr * v[i];
    }
  } else {
    for (std::int64_t i = begin; i < end; ++i) {
      v[i] = momentum * v[i] + (g[i] + decay * w[i]);
      w[i] -= lr * v[i];
    }
  }
}

}  // namespace

// All parameters together are one range of elements, split evenly over the threads whatever the
// sizes of the tensors.
void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper) {
  std::vector<std::int64_t> starts = {0};
  std::vector<Pointers> pointers;
  for (const SgdItem& item : items) {
    starts.push_back(starts.back() + item.weight.numel());
    pointers.push_back(
        {item.weight.data<float>(), item.gradient.data<float>(), item.momentum.data<float>()});
  }
  constexpr std::int64_t kGrain = 1 << 14;
  parallel_for(0, starts.back(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    auto index =
        static_cast<std::size_t>(std::ranges::upper_bound(starts, begin) - starts.begin() - 1);
    for (; index < items.size() && starts[index] < end; ++index) {
      update(pointers[index], std::max(begin, starts[index]) - starts[index],
             std::min(end, starts[index + 1]) - starts[index], items[index].first, hyper);
    }
  });
}

}  // namespace invp::cpu
