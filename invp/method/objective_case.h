// One step of the objective on given tensors: `invp objective`, for comparison with another
// implementation.
#pragma once

#include "engine/core/tensor.h"
#include "invp/method/objective.h"

namespace invp {

struct ObjectiveCase {
  Tensor features;   ///< (b, d) f32, before normalisation
  Tensor indices;    ///< (b) i64 or i32
  Tensor bank;       ///< (n, d) f32 or bf16; not changed
  Tensor neighbors;  ///< (n, k) i64 or i32, -1 = unset; not changed
};

struct ObjectiveResult {
  Tensor loss;  ///< scalar, with loss_ins and loss_inv: batch means
  Tensor loss_ins;
  Tensor loss_inv;
  Tensor grad_features;   ///< (b, d)
  Tensor positives;       ///< (b, .) i64, filled up with -1, as are the next
  Tensor hard_positives;  ///< (b, P) i64, or (b, .) where all positives are taken
  Tensor new_neighbors;   ///< (b, k) i64
  Tensor new_bank;        ///< (b, d) f32: the rows of `indices` after the update
};

/// One step. The weight of the invariance loss is lambda, as after the warm epochs. k is that of
/// `neighbors`; config.neighbors is ignored. Runs on the bank's device and returns host tensors.
ObjectiveResult run_objective_case(const ObjectiveCase& given, ObjectiveConfig config);

}  // namespace invp
