#include "engine/core/elementwise_cpu.h"
#include "engine/ops/loss/bce_with_logits.h"

namespace invp::cpu {

void bce_with_logits_forward(const Tensor& x, const Tensor& targets, double divisor,
                             const Tensor& loss) {
  dispatch_floating(x.dtype(), "bce_with_logits", [&]<class T>(T) {
    const T* const logits = x.data<T>();
    const float* const target = targets.data<float>();
    double total = 0;  // heads are small: one thread, one order
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      total += BceWithLogits::forward(static_cast<float>(logits[i]), target[i]);
    }
    *loss.data<float>() = static_cast<float>(total / divisor);
  });
}

void bce_with_logits_backward(const Tensor& x, const Tensor& targets, double divisor,
                              const Tensor& dy, const Tensor& dx) {
  const float scale = *dy.data<float>() / static_cast<float>(divisor);
  dispatch_floating(x.dtype(), "bce_with_logits", [&]<class T>(T) {
    map_as<T, T, float>(
        [scale](float logit, float target) {
          return BceWithLogits::backward(logit, target) * scale;
        },
        dx, x, targets);
  });
}

}  // namespace invp::cpu
