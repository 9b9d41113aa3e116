// The `count` rows of a bank most similar to each query, exactly: what the objective takes as
// background and the kNN classifier as voters. Similarity is the inner product, accumulated in f32,
// column after column by fused multiplication and addition: the same bits on every device (except a
// CPU without that instruction).
//   queries (B, D) f32, bank (N, D) f32 or bf16 -> rows (B, C) i32 and similarities (B, C) f32, C =
//   min(count, N). Each output row is in ascending order of row index, not of similarity. Of
//   equally similar rows the lower index is taken, so the answer depends neither on the number of
//   threads nor on the other queries of the batch. The B x N similarities are not stored, and
//   nothing is sorted. Not differentiable. Throws for other shapes and dtypes, an empty bank, count
//   < 1, N past the range of i32, and where NaN in a query or in the bank leaves fewer than C
//   comparable similarities.
// In that last case a GPU raises no error, because the host would have to wait for it: the query
// gets rows of -1 and similarities of NaN, which make the loss NaN.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

struct TopSimilar {
  Tensor rows;
  Tensor similarities;
};

TopSimilar top_similar(const Tensor& queries, const Tensor& bank, std::int64_t count);

KERNEL(top_similar, const Tensor& queries, const Tensor& bank, const Tensor& rows,
       const Tensor& similarities);

}  // namespace invp
