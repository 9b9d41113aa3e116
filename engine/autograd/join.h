// Where several uses of a tensor meet, backward() adds up their gradients, a pass over all of them
// for each. An operation that can add on its way out spares that pass.
#pragma once

#include <cstddef>

#include "engine/core/tensor.h"

namespace invp {

/// For the closure of an operation, while backward() runs it: the gradient that the operation's
/// input has gathered so far, from uses behind this one; undefined if there is none. Who takes it
/// owes it: it must be added to the gradient that the closure returns for this input. Others may
/// hold the elements: they are only read.
Tensor take_gathered(std::size_t input);

}  // namespace invp
