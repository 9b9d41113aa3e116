#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/detection/smooth_l1.h"

namespace invp::cpu {

void smooth_l1_forward(const SmoothL1& rule, double scale, const Tensor& x, const Tensor& targets,
                       const Tensor& loss) {
  dispatch_floating(x.dtype(), "smooth_l1", [&]<class T>(T) {
    double total = 0;  // a few hundred thousand terms: one thread, one order
    for (std::int64_t i = 0; i < targets.numel(); ++i) {
      total += rule.term(x.data<T>(), targets.data<float>(), i);
    }
    *loss.data<float>() = static_cast<float>(total * scale);
  });
}

void smooth_l1_backward(const SmoothL1& rule, double scale, const Tensor& x, const Tensor& targets,
                        const Tensor& dy, const Tensor& dx) {
  constexpr std::int64_t kGrain = 16384;
  const auto factor = static_cast<float>(scale * *dy.data<float>());
  dispatch_floating(x.dtype(), "smooth_l1", [&]<class T>(T) {
    parallel_for(0, x.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        put(dx.data<T>()[i], rule.gradient(x.data<T>(), targets.data<float>(), i) * factor);
      }
    });
  });
}

}  // namespace invp::cpu
