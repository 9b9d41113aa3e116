#include "engine/core/elementwise_cuda.cuh"
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/matmul_round_cuda.h"

namespace invp::cuda {

void round_relu(const Tensor& sums, const Tensor& y) {
  map_as<BFloat16, float>(Call<Relu::forward>{}, y, sums);
}

}  // namespace invp::cuda
