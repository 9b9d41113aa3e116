#include "engine/autograd/accumulate.h"
#include "engine/core/elementwise_cuda.cuh"

namespace invp::cuda {

namespace {

struct Plus {
  __device__ float operator()(float a, float b) const { return a + b; }
};

}  // namespace

void accumulate(const Tensor& total, const Tensor& x) {
  dispatch_floating(total.dtype(), "accumulate", [&]<class Total>(Total) {
    dispatch_floating(x.dtype(), "accumulate",
                      [&]<class X>(X) { map_as<Total, Total, X>(Plus{}, total, total, x); });
  });
}

}  // namespace invp::cuda
