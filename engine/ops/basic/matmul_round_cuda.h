// The pass after a bf16 matrix product with a bias and a ReLU on the GPU (matmul_cuda.cpp).
#pragma once

#include "engine/core/tensor.h"

namespace invp::cuda {

/// y = relu(sums), f32 rounded to bf16. NaN stays NaN.
void round_relu(const Tensor& sums, const Tensor& y);

}  // namespace invp::cuda
