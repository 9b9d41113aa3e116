#include "layers/autocast.h"

#include "engine/autograd/node.h"
#include "engine/ops/basic/cast.h"

namespace invp {

Tensor as_operand(const Tensor& parameter, DType dtype) {
  if (dtype == parameter.dtype()) return parameter;
  if (!parameter.rounded().defined()) {
    const MemoryScope scope(MemoryUse::kParameters);
    const NoGrad no_grad;
    parameter.set_rounded(cast(parameter, dtype));
  }
  return record("as_operand", parameter.rounded().detach(), {parameter}, [] {
    return [](const Tensor& dy, const Needs&) -> Grads { return {cast(dy, DType::kF32)}; };
  });
}

}  // namespace invp
