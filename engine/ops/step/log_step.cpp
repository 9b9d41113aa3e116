#include "engine/ops/step/log_step.h"

#include "engine/core/checks.h"
#include "engine/ops/basic/reduce.h"

namespace invp {

void log_step(const Tensor& means, const Tensor& embeddings, const Tensor& losses,
              const Tensor& state) {
  CHECK(means.shape() == Shape{3} && means.dtype() == DType::kF32,
        "[log_step] means must be f32 of shape (3), got ", means.dtype(), " ", means.shape());
  CHECK(losses.rank() == 2 && losses.dim(1) == 4 && losses.dtype() == DType::kF32,
        "[log_step] losses must be f32 of shape (L, 4), got ", losses.dtype(), " ", losses.shape());
  CHECK(state.shape() == Shape{2} && state.dtype() == DType::kI32,
        "[log_step] state must be i32 of shape (2), got ", state.dtype(), " ", state.shape());
  check_same_device("log_step", means, "embeddings", embeddings);
  check_same_device("log_step", means, "losses", losses);
  check_same_device("log_step", means, "state", state);
  DISPATCH(means.device(), log_step, means, sum(embeddings.detach()), losses, state);
}

}  // namespace invp
