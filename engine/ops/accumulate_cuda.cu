#include "engine/ops/accumulate.h"
#include "engine/ops/elementwise.h"
#include "engine/ops/elementwise_cuda.cuh"

namespace invp::cuda {

void accumulate(const Tensor& total, const Tensor& x) {
  dispatch_floating(total.dtype(), "accumulate", [&]<class Total>(Total) {
    dispatch_floating(x.dtype(), "accumulate", [&]<class X>(X) {
      map_as<Total, Total, X>(Call<Add::forward>{}, total, total, x);
    });
  });
}

}  // namespace invp::cuda
