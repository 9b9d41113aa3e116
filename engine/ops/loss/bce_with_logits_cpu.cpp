#include "engine/core/parallel.h"
#include "engine/ops/loss/bce_with_logits.h"

namespace invp::cpu {

void bce_with_logits_forward(const Tensor& x, const Tensor& targets, const Tensor& loss) {
  dispatch_floating(x.dtype(), "bce_with_logits", [&]<class T>(T) {
    const T* const logits = x.data<T>();
    const float* const target = targets.data<float>();
    double total = 0;  // heads are small: one thread, one order
    for (std::int64_t i = 0; i < x.numel(); ++i) {
      total += BceWithLogits::forward(static_cast<float>(logits[i]), target[i]);
    }
    *loss.data<float>() = static_cast<float>(total / static_cast<double>(x.numel()));
  });
}

void bce_with_logits_backward(const Tensor& x, const Tensor& targets, const Tensor& dy,
                              const Tensor& dx) {
  const float scale = *dy.data<float>() / static_cast<float>(x.numel());
  dispatch_floating(x.dtype(), "bce_with_logits", [&]<class T>(T) {
    parallel_for(0, x.numel(), 4096, [&](std::int64_t begin, std::int64_t end) {
      const float* const target = targets.data<float>();
      for (std::int64_t i = begin; i < end; ++i) {
        const auto logit = static_cast<float>(x.data<T>()[i]);
        dx.data<T>()[i] = T(BceWithLogits::backward(logit, target[i]) * scale);
      }
    });
  });
}

}  // namespace invp::cpu
