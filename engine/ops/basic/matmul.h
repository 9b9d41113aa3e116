// Matrix products.
//   matmul: y = a b, a (M, L), b (L, N) -> y (M, N). da = dy b^T, db = a^T dy. Saves a and b.
//   linear: y = x w^T + b, x (N, in), w (out, in), b (out) or undefined -> y (N, out).
//           dx = dy w, dw = dy^T x, db = column sums of dy. Saves x and w.
//   linear_relu: y = relu(x w^T + b), NaN stays NaN. Gradients are linear's for dz instead of dy,
//           dz = dy where y > 0, else 0. Saves x, w and y.
// Operands are all f32 or all bf16 (biases f32); sums are f32 and rounded once. Throws Error naming
// both shapes when they do not fit.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor matmul(const Tensor& a, const Tensor& b);
Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b = {});
Tensor linear_relu(const Tensor& x, const Tensor& w, const Tensor& b = {});

/// Whether the operand is read transposed.
enum class Transpose : std::uint8_t { kNo, kYes };

/// y = op(a) op(b) + bias (one per column, or undefined). Any extent may be 0.
KERNEL(gemm, const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
       const Tensor& bias, const Tensor& y);
/// y = relu(op(a) op(b) + bias).
KERNEL(gemm_relu, const Tensor& a, Transpose transpose_a, const Tensor& b, Transpose transpose_b,
       const Tensor& bias, const Tensor& y);
/// y[j] = sum over i of x[i, j]; y f32.
KERNEL(column_sums, const Tensor& x, const Tensor& y);

}  // namespace invp
