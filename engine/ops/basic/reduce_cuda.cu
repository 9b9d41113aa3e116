#include "engine/core/elementwise_cuda.cuh"
#include "engine/ops/basic/reduce.h"
#include "engine/ops/basic/sum_cuda.cuh"

namespace invp::cuda {

namespace {

struct Element {
  __device__ float operator()(float x) const { return x; }
};

/// The gradient of every element.
struct Share {
  const float* dy;
  double scale;
  __device__ float operator()() const { return static_cast<float>(scale * *dy); }
};

}  // namespace

void sum_forward(const Tensor& x, double scale, const Tensor& y) {
  dispatch_floating(x.dtype(), "sum",
                    [&]<class T>(T) { sum_of(Element{}, scale, y, x.numel(), x.data<T>()); });
}

void sum_backward(const Tensor& dy, double scale, const Tensor& dx) {
  dispatch_floating(dx.dtype(), "sum", [&]<class T>(T) {
    map_as<T>(Share{dy.data<float>(), scale}, dx);
  });
}

}  // namespace invp::cuda
