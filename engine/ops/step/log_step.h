// What a training step leaves on its device for the host to read later: its losses, and whether
// steps may change anything. Once a loss or an embedding was not finite none may, until the host
// has seen it, though steps may already be queued behind.
//   means (3) f32, of the contrast; embeddings (B, D) f32; losses (L, 4) f32, a row a step: L_ins,
//   L_inv, the loss, and the sum over the embeddings; state (2) i32: how many rows are filled, and
//   1 once halted, else 0. Throws for other shapes and dtypes; past L rows nothing is written.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

void log_step(const Tensor& means, const Tensor& embeddings, const Tensor& losses,
              const Tensor& state);

/// `total`, one f32: the sum over the embeddings.
KERNEL(log_step, const Tensor& means, const Tensor& total, const Tensor& losses,
       const Tensor& state);

}  // namespace invp
