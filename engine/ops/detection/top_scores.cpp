#include "engine/ops/detection/top_scores.h"

namespace invp {

Tensor top_scores(const Tensor& scores, std::int64_t k) {
  CHECK(scores.rank() == 2 && scores.dtype() == DType::kF32,
        "[top_scores] scores must be f32 of shape (B, n), got ", scores.dtype(), " ",
        scores.shape());
  CHECK(k >= 0, "[top_scores] cannot take ", k, " of each row");
  const Tensor best = Tensor::empty({scores.dim(0), k}, DType::kI32, scores.device());
  DISPATCH(scores.device(), top_scores, scores, best);
  return best;
}

}  // namespace invp
