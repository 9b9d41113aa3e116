// The objective on tensors that somebody gives: what `invp objective` runs, to be held against
// another framework.
#pragma once

#include "engine/core/tensor.h"
#include "invp/method/objective.h"

namespace invp {

struct ObjectiveCase {
  Tensor features;   ///< (b, d) f32, before normalisation
  Tensor indices;    ///< (b) i64 or i32
  Tensor bank;       ///< (n, d) f32 or bf16; left as it is
  Tensor neighbors;  ///< (n, k) i64 or i32, -1 = unset; left as it is
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

/// One step with the invariance loss switched on: its weight is lambda, whatever the epoch.
/// `config.neighbors` is taken from the tensors. Runs on the device of the bank, returns host
/// tensors.
ObjectiveResult run_objective_case(const ObjectiveCase& given, ObjectiveConfig config);

}  // namespace invp
