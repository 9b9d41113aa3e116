// What the shards of a bank need beside the operations on a whole one (bank_rows.h, top_similar.h).
// Row i of the bank is row i / S of shard i mod S, so the order of rows is that of a shard's rows,
// and similar images, which often stand together in a data set, are spread evenly. Not
// differentiable. All throw for other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "engine/ops/search/top_similar.h"

namespace invp {

struct Shard {
  int index = 0;
  int count = 1;

  /// Of a bank of `rows` rows.
  std::int64_t rows_of(std::int64_t rows) const { return (rows + count - 1 - index) / count; }
};

/// The rows of the shard that these rows of the bank are, -1 for those of other shards and for -1.
/// Any shape, i32.
Tensor rows_in_shard(const Tensor& rows, Shard shard);

/// The `count` best of what the S shards answered to B queries: rows (S, B, W) i32 are rows of the
/// shards, ascending, -1 where a shard has no more; similarities (S, B, W) f32. Of equals the lower
/// row of the bank, of `bank_rows` rows, is taken; rows of the bank come out, ascending. A query
/// with fewer than `count` answers gets rows of -1 and similarities of NaN.
TopSimilar merge_similar(const Tensor& rows, const Tensor& similarities, std::int64_t count,
                         std::int64_t bank_rows);

/// sums[i] = sum_w weights[i][w] bank[rows[i][w]] in units of 2^-50, each product cut off there,
/// so that sums of sums are exact in any order. bank (N, D), rows (B, W) with -1 for none, weights
/// (B, W) f32 -> (B, D) i64. Products from 2^12 upwards, and NaN, add nothing; a sum must stay
/// below 2^13.
Tensor weigh_rows(const Tensor& bank, const Tensor& rows, const Tensor& weights);

/// total[e] += sum_s sums[s][e], rounded once. sums (S, B, D) i64 of weigh_rows, total (B, D) f32.
void add_weighed(const Tensor& total, const Tensor& sums);

KERNEL(rows_in_shard, const Tensor& rows, Shard shard, const Tensor& own);
KERNEL(merge_similar, const Tensor& rows, const Tensor& similarities, std::int64_t bank_rows,
       const TopSimilar& best);
KERNEL(weigh_rows, const Tensor& bank, const Tensor& rows, const Tensor& weights,
       const Tensor& sums);
KERNEL(add_weighed, const Tensor& total, const Tensor& sums);

}  // namespace invp
