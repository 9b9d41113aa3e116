#include "engine/ops/search/bank_rows.h"

#include "engine/core/checks.h"

namespace invp {

namespace {

void check_bank(const char* op, const Tensor& bank) {
  check_floating(op, bank);
  CHECK(bank.rank() == 2, "[", op, "] the bank must be (N, D), got ", bank.shape());
}

void check_vectors(const char* op, const char* name, const Tensor& vectors, const Tensor& bank) {
  CHECK(vectors.rank() == 2 && vectors.dim(1) == bank.dim(1) && vectors.dtype() == DType::kF32, "[",
        op, "] ", name, " must be f32 of shape (B, ", bank.dim(1), "), got ", vectors.dtype(), " ",
        vectors.shape());
  check_same_device(op, bank, name, vectors);
}

void check_lists(const char* op, const Tensor& rows, const Tensor& queries) {
  CHECK(rows.rank() == 2 && rows.dim(0) == queries.dim(0) && rows.dtype() == DType::kI32, "[", op,
        "] rows must be i32 of shape (", queries.dim(0), ", W), got ", rows.dtype(), " ",
        rows.shape());
  check_same_device(op, queries, "rows", rows);
}

void check_indices(const char* op, const Tensor& indices, const Tensor& bank) {
  CHECK(indices.rank() == 1 && indices.dtype() == DType::kI32, "[", op,
        "] indices must be i32 of shape (B), got ", indices.dtype(), " ", indices.shape());
  check_same_device(op, bank, "indices", indices);
}

}  // namespace

Tensor row_similarities(const Tensor& queries, const Tensor& bank, const Tensor& rows) {
  check_bank("row_similarities", bank);
  check_vectors("row_similarities", "queries", queries, bank);
  check_lists("row_similarities", rows, queries);
  const Tensor similarities = Tensor::empty(rows.shape(), DType::kF32, queries.device());
  DISPATCH(queries.device(), row_similarities, queries, bank, rows, similarities);
  return similarities;
}

void add_weighted_rows(const Tensor& total, const Tensor& bank, const Tensor& rows,
                       const Tensor& weights) {
  check_bank("add_weighted_rows", bank);
  check_vectors("add_weighted_rows", "total", total, bank);
  check_lists("add_weighted_rows", rows, total);
  CHECK(weights.shape() == rows.shape() && weights.dtype() == DType::kF32,
        "[add_weighted_rows] weights must be f32 of shape ", rows.shape(), ", got ",
        weights.dtype(), " ", weights.shape());
  DISPATCH(total.device(), add_weighted_rows, total, bank, rows, weights);
}

void blend_rows(const Tensor& bank, const Tensor& indices, const Tensor& values, float momentum,
                const Tensor& halted) {
  check_bank("blend_rows", bank);
  check_vectors("blend_rows", "values", values, bank);
  check_indices("blend_rows", indices, bank);
  CHECK(indices.dim(0) == values.dim(0), "[blend_rows] ", indices.dim(0), " indices for ",
        values.dim(0), " values");
  CHECK(momentum >= 0 && momentum <= 1, "[blend_rows] momentum must lie in [0, 1], got ", momentum);
  check_scalar("blend_rows", bank, "halted", halted, DType::kI32);
  DISPATCH(bank.device(), blend_rows, bank, indices, values, momentum, halted);
}

Tensor take_rows(const Tensor& bank, const Tensor& indices) {
  check_bank("take_rows", bank);
  check_indices("take_rows", indices, bank);
  const Tensor taken = Tensor::empty({indices.dim(0), bank.dim(1)}, DType::kF32, bank.device());
  DISPATCH(bank.device(), take_rows, bank, indices, taken);
  return taken;
}

}  // namespace invp
