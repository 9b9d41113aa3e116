// Arithmetic on chosen rows of a bank, one list of rows per query. A bank is (N, D) f32 or bf16;
// `rows` is (B, W) i32 with -1 wherever a list is shorter than W; sums are f32. Not differentiable.
// All throw for other shapes and dtypes. None checks the row numbers: those come from top_similar
// and the neighbor graph.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

/// similarities[i][w] = queries[i] . bank[rows[i][w]], 0 where the row is -1. queries (B, D) f32 ->
/// (B, W) f32.
Tensor row_similarities(const Tensor& queries, const Tensor& bank, const Tensor& rows);

/// total[i] += sum_w weights[i][w] bank[rows[i][w]]. weights (B, W) f32, total (B, D) f32.
void add_weighted_rows(const Tensor& total, const Tensor& bank, const Tensor& rows,
                       const Tensor& weights);

/// bank[indices[i]] = normalise(momentum bank[indices[i]] + (1 - momentum) values[i]) for i = 0, 1,
/// ... in this order, so that an index which comes twice is moved twice. indices (B) i32, values
/// (B, D) f32; a row shorter than 1e-12 is divided by 1e-12. Nothing happens for an index of -1,
/// and where `halted`, one i32, is given and not 0.
void blend_rows(const Tensor& bank, const Tensor& indices, const Tensor& values, float momentum,
                const Tensor& halted = {});

/// bank[indices] as (B, D) f32, zeros for -1.
Tensor take_rows(const Tensor& bank, const Tensor& indices);

KERNEL(row_similarities, const Tensor& queries, const Tensor& bank, const Tensor& rows,
       const Tensor& similarities);
KERNEL(add_weighted_rows, const Tensor& total, const Tensor& bank, const Tensor& rows,
       const Tensor& weights);
KERNEL(blend_rows, const Tensor& bank, const Tensor& indices, const Tensor& values, float momentum,
       const Tensor& halted);
KERNEL(take_rows, const Tensor& bank, const Tensor& indices, const Tensor& taken);

}  // namespace invp
