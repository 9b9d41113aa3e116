#include "engine/autograd/accumulate.h"
#include "engine/core/elementwise_cuda.cuh"
#include "engine/ops/basic/elementwise.h"

namespace invp::cuda {

void accumulate(const Tensor& total, const Tensor& x) {
  dispatch_floating(total.dtype(), "accumulate", [&]<class Total>(Total) {
    dispatch_floating(x.dtype(), "accumulate", [&]<class X>(X) {
      map_as<Total, Total, X>(Call<Add::forward>{}, total, total, x);
    });
  });
}

}  // namespace invp::cuda
