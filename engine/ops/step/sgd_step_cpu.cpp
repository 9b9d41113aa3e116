#include <algorithm>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/step/sgd_step.h"

namespace invp::cpu {

namespace {

struct Pointers {
  float* weight;
  const float* gradient;
  float* momentum;
  BFloat16* copy;  ///< or null
  bool fresh;      ///< the momentum is not read
};

void update(const Pointers& p, std::int64_t begin, std::int64_t end, const SgdRule& rule) {
  float* __restrict w = p.weight;
  const float* __restrict g = p.gradient;
  float* __restrict v = p.momentum;
  if (p.fresh) {
    for (std::int64_t i = begin; i < end; ++i) {
      v[i] = rule.fresh_velocity(w[i], g[i]);
      w[i] = rule.weight(w[i], v[i]);
    }
  } else {
    for (std::int64_t i = begin; i < end; ++i) {
      v[i] = rule.velocity(w[i], g[i], v[i]);
      w[i] = rule.weight(w[i], v[i]);
    }
  }
}

/// In blocks, so that the copy is made of weights that are still in the first-level cache.
void update_and_copy(const Pointers& p, std::int64_t begin, std::int64_t end, const SgdRule& rule) {
  if (p.copy == nullptr) return update(p, begin, end, rule);
  constexpr std::int64_t kBlock = 2048;
  for (std::int64_t first = begin; first < end; first += kBlock) {
    const std::int64_t last = std::min(first + kBlock, end);
    update(p, first, last, rule);
#pragma omp simd
    for (std::int64_t i = first; i < last; ++i) put(p.copy[i], p.weight[i]);
  }
}

}  // namespace

// All parameters together are one range of elements, split evenly over the threads for any sizes of
// the tensors.
void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper, const SgdControl& control) {
  if (control.halted.defined() && *control.halted.data<std::int32_t>() != 0) return;
  SgdRule rule(hyper);
  if (control.lr_factor.defined()) rule.lr *= *control.lr_factor.data<float>();
  std::vector<std::int64_t> starts = {0};
  std::vector<Pointers> pointers;
  for (const SgdItem& item : items) {
    starts.push_back(starts.back() + item.weight.numel());
    pointers.push_back({.weight = item.weight.data<float>(),
                        .gradient = item.gradient.data<float>(),
                        .momentum = item.momentum.data<float>(),
                        .copy = item.copy.defined() ? item.copy.data<BFloat16>() : nullptr,
                        .fresh = item.first || hyper.momentum == 0});
  }
  constexpr std::int64_t kGrain = 1 << 14;
  parallel_for(0, starts.back(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    auto index =
        static_cast<std::size_t>(std::ranges::upper_bound(starts, begin) - starts.begin() - 1);
    for (; index < items.size() && starts[index] < end; ++index) {
      update_and_copy(pointers[index], std::max(begin, starts[index]) - starts[index],
                      std::min(end, starts[index + 1]) - starts[index], rule);
    }
  });
}

}  // namespace invp::cpu
