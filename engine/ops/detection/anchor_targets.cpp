#include "engine/ops/detection/anchor_targets.h"

namespace invp {

AnchorTargets anchor_targets(const Tensor& labels) {
  CHECK(labels.rank() == 1 && labels.dtype() == DType::kI32,
        "[anchor_targets] labels must be i32 of shape (n), got ", labels.dtype(), " ",
        labels.shape());
  const AnchorTargets targets{
      .objectness = Tensor::empty(labels.shape(), DType::kF32, labels.device()),
      .columns = Tensor::empty(labels.shape(), DType::kI32, labels.device())};
  DISPATCH(labels.device(), anchor_targets, labels, targets);
  return targets;
}

}  // namespace invp
