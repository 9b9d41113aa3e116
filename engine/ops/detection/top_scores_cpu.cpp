#include "engine/core/parallel.h"
#include "engine/ops/detection/score_order_cpu.h"
#include "engine/ops/detection/top_scores.h"

namespace invp::cpu {

void top_scores(const Tensor& scores, const Tensor& best) {
  const std::int64_t count = scores.dim(1);
  const std::int64_t k = best.dim(1);
  parallel_for(0, scores.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      const std::vector<std::int32_t> order =
          in_order(scores.data<float>() + row * count, count, k);
      std::int32_t* const out = best.data<std::int32_t>() + row * k;
      std::fill_n(std::copy(order.begin(), order.end(), out), k - std::ssize(order), -1);
    }
  });
}

}  // namespace invp::cpu
