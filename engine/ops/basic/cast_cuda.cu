#include "engine/core/elementwise_cuda.cuh"
#include "engine/ops/basic/cast.h"

namespace invp::cuda {

namespace {

struct Same {
  __device__ float operator()(float x) const { return x; }
};

}  // namespace

void cast(const Tensor& x, const Tensor& y) {
  dispatch_floating(x.dtype(), "cast", [&]<class From>(From) {
    dispatch_floating(y.dtype(), "cast", [&]<class To>(To) { map_as<To, From>(Same{}, y, x); });
  });
}

}  // namespace invp::cuda
