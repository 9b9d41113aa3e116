#include "engine/autograd/accumulate.h"
#include "engine/core/parallel.h"

namespace invp::cpu {

void accumulate(const Tensor& total, const Tensor& x) {
  dispatch_floating(total.dtype(), "accumulate", [&](auto total_tag) {
    dispatch_floating(x.dtype(), "accumulate", [&](auto x_tag) {
      using Total = decltype(total_tag);
      using X = decltype(x_tag);
      Total* out = total.data<Total>();
      const X* in = x.data<X>();
      constexpr std::int64_t kGrain = 1 << 15;
      parallel_for(0, total.numel(), kGrain, [out, in](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin; i < end; ++i) {
          out[i] = Total(static_cast<float>(out[i]) + static_cast<float>(in[i]));
        }
      });
    });
  });
}

}  // namespace invp::cpu
