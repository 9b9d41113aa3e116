#include "engine/ops/search/top_similar.h"

#include <algorithm>
#include <limits>

#include "engine/core/checks.h"

namespace invp {

TopSimilar top_similar(const Tensor& queries, const Tensor& bank, std::int64_t count) {
  CHECK(queries.rank() == 2 && queries.dtype() == DType::kF32,
        "[top_similar] queries must be f32 of shape (B, D), got ", queries.dtype(), " ",
        queries.shape());
  check_floating("top_similar", bank);
  CHECK(bank.rank() == 2 && bank.dim(1) == queries.dim(1),
        "[top_similar] the bank must have as many columns as the queries ", queries.shape(),
        ", got ", bank.shape());
  CHECK(bank.dim(0) >= 1 && bank.dim(0) <= std::numeric_limits<std::int32_t>::max(),
        "[top_similar] the bank must have 1 to 2^31 - 1 rows, got ", bank.shape());
  CHECK(count >= 1, "[top_similar] count must be at least 1, got ", count);
  check_same_device("top_similar", queries, "the bank", bank);

  const Shape shape{queries.dim(0), std::min(count, bank.dim(0))};
  const TopSimilar top{Tensor::empty(shape, DType::kI32, queries.device()),
                       Tensor::empty(shape, DType::kF32, queries.device())};
  DISPATCH(queries.device(), top_similar, queries, bank, top.rows, top.similarities);
  return top;
}

}  // namespace invp
