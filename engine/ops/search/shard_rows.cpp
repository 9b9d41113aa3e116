#include "engine/ops/search/shard_rows.h"

#include "engine/core/checks.h"

namespace invp {

Tensor rows_in_shard(const Tensor& rows, Shard shard) {
  CHECK(rows.dtype() == DType::kI32, "[rows_in_shard] rows must be i32, got ", rows.dtype());
  CHECK(shard.index >= 0 && shard.index < shard.count, "[rows_in_shard] no shard ", shard.index,
        " of ", shard.count);
  const Tensor own = Tensor::empty_like(rows);
  DISPATCH(rows.device(), rows_in_shard, rows, shard, own);
  return own;
}

TopSimilar merge_similar(const Tensor& rows, const Tensor& similarities, std::int64_t count,
                         std::int64_t bank_rows) {
  CHECK(rows.rank() == 3 && rows.dtype() == DType::kI32 && similarities.shape() == rows.shape() &&
            similarities.dtype() == DType::kF32,
        "[merge_similar] rows must be i32 and similarities f32 of shape (S, B, W), got ",
        rows.dtype(), " ", rows.shape(), " and ", similarities.dtype(), " ", similarities.shape());
  CHECK(count >= 1 && count <= bank_rows, "[merge_similar] the ", count, " best of ", bank_rows,
        " rows");
  check_same_device("merge_similar", rows, "similarities", similarities);
  const Shape shape{rows.dim(1), count};
  const TopSimilar best{Tensor::empty(shape, DType::kI32, rows.device()),
                        Tensor::empty(shape, DType::kF32, rows.device())};
  DISPATCH(rows.device(), merge_similar, rows, similarities, bank_rows, best);
  return best;
}

Tensor weigh_rows(const Tensor& bank, const Tensor& rows, const Tensor& weights) {
  check_floating("weigh_rows", bank);
  CHECK(bank.rank() == 2 && rows.rank() == 2 && rows.dtype() == DType::kI32 &&
            weights.shape() == rows.shape() && weights.dtype() == DType::kF32,
        "[weigh_rows] needs a bank (N, D), rows i32 and weights f32 of shape (B, W), got ",
        bank.shape(), ", ", rows.dtype(), " ", rows.shape(), " and ", weights.dtype(), " ",
        weights.shape());
  check_same_device("weigh_rows", bank, "rows", rows);
  check_same_device("weigh_rows", bank, "weights", weights);
  const Tensor sums = Tensor::zeros({rows.dim(0), bank.dim(1)}, DType::kI64, bank.device());
  DISPATCH(bank.device(), weigh_rows, bank, rows, weights, sums);
  return sums;
}

void add_weighed(const Tensor& total, const Tensor& sums) {
  CHECK(total.rank() == 2 && total.dtype() == DType::kF32 && sums.dtype() == DType::kI64 &&
            sums.rank() == 3 && sums.dim(0) >= 1 && sums.dim(1) == total.dim(0) &&
            sums.dim(2) == total.dim(1),
        "[add_weighed] total must be f32 (B, D) and sums i64 (S, B, D), got ", total.dtype(), " ",
        total.shape(), " and ", sums.dtype(), " ", sums.shape());
  check_same_device("add_weighed", total, "sums", sums);
  DISPATCH(total.device(), add_weighed, total, sums);
}

}  // namespace invp
