#include "engine/ops/detection/anchor_target.h"
#include "engine/ops/detection/anchor_targets.h"

namespace invp::cpu {

void anchor_targets(const Tensor& labels, const AnchorTargets& targets) {
  for (std::int64_t i = 0; i < labels.numel(); ++i) {
    const std::int32_t label = labels.data<std::int32_t>()[i];
    targets.objectness.data<float>()[i] = objectness_of(label);
    targets.columns.data<std::int32_t>()[i] = column_of(label);
  }
}

}  // namespace invp::cpu
