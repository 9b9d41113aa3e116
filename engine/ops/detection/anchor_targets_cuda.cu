#include "engine/core/cuda_launch.cuh"
#include "engine/ops/detection/anchor_target.h"
#include "engine/ops/detection/anchor_targets.h"

namespace invp::cuda {

namespace {

__global__ void fill(const std::int32_t* labels, std::int64_t count, float* objectness,
                     std::int32_t* columns) {
  for (std::int64_t i = thread_in_grid(); i < count; i += threads_in_grid()) {
    objectness[i] = objectness_of(labels[i]);
    columns[i] = column_of(labels[i]);
  }
}

}  // namespace

void anchor_targets(const Tensor& labels, const AnchorTargets& targets) {
  const Context& at = context(labels.device());
  launch(at, grid_for(at, labels.numel()), fill, labels.data<std::int32_t>(), labels.numel(),
         targets.objectness.data<float>(), targets.columns.data<std::int32_t>());
}

}  // namespace invp::cuda
