#include <algorithm>

#include "engine/core/parallel.h"
#include "engine/ops/basic/scale.h"

namespace invp::cpu {

void scale(const Tensor& x, const Tensor& factor, const Tensor& y) {
  constexpr std::int64_t kGrain = 1 << 15;
  const float times = *factor.data<float>();
  parallel_for(0, x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    std::transform(x.data<float>() + begin, x.data<float>() + end, y.data<float>() + begin,
                   [times](float value) { return times * value; });
  });
}

}  // namespace invp::cpu
