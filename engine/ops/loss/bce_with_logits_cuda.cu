#include "engine/core/elementwise_cuda.cuh"
#include "engine/ops/basic/sum_cuda.cuh"
#include "engine/ops/loss/bce_with_logits.h"

namespace invp::cuda {

namespace {

struct Gradient {
  const float* dy;
  float divisor;
  __device__ float operator()(float x, float t) const {
    return BceWithLogits::backward(x, t) * (*dy / divisor);
  }
};

}  // namespace

void bce_with_logits_forward(const Tensor& x, const Tensor& targets, double divisor,
                             const Tensor& loss) {
  const double scale = 1 / divisor;
  dispatch_floating(x.dtype(), "bce_with_logits", [&]<class T>(T) {
    sum_of(Call<BceWithLogits::forward>{}, scale, loss, x.numel(), x.data<T>(),
           targets.data<float>());
  });
}

void bce_with_logits_backward(const Tensor& x, const Tensor& targets, double divisor,
                              const Tensor& dy, const Tensor& dx) {
  const Gradient gradient{dy.data<float>(), static_cast<float>(divisor)};
  dispatch_floating(x.dtype(), "bce_with_logits",
                    [&]<class T>(T) { map_as<T, T, float>(gradient, dx, x, targets); });
}

}  // namespace invp::cuda
