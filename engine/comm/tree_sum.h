// The sum of several ranks' values in an order that is always the same.
#pragma once

#include "engine/comm/communicator.h"
#include "engine/core/dispatch.h"

namespace invp {

/// Throws Error unless values of this dtype can be added.
void check_reducible(const char* name, DType dtype);

/// `blocks` (k, ...), contiguous: row 0 becomes the rows added in a tree, rows 0 and 1,
/// 2 and 3, then these pairs; an odd one waits. The other rows are left in no particular state.
/// f32, bf16 (every sum of two is rounded), f64, i64. The bits depend on the rows only.
/// A NaN in kMax and kMin stays. Throws Error for another dtype. On a GPU
/// queued on its stream.
void tree_reduce(const char* name, const Tensor& blocks, Reduction reduction);

/// tree_reduce of what is not empty and can be reduced.
KERNEL(tree_rows, const Tensor& blocks, Reduction reduction);

}  // namespace invp
