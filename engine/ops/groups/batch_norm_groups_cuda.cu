#include "engine/core/cuda_launch.cuh"
#include "engine/ops/groups/batch_norm_groups.h"
#include "engine/ops/groups/group_moments.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 128;

__global__ void merge(NormSharing sharing, const double* parts, std::int64_t groups,
                      std::int64_t channels, double* merged) {
  const std::int64_t c = thread_in_grid();
  if (c < channels) GroupMoments{parts + c, groups, channels}.merge(sharing, merged + c);
}

__global__ void add_up(const double* parts, std::int64_t groups, std::int64_t numbers,
                       double* total) {
  const std::int64_t i = thread_in_grid();
  if (i >= numbers) return;
  double sum = 0;
  for (std::int64_t g = 0; g < groups; ++g) sum += parts[g * numbers + i];
  total[i] = sum;
}

Grid thread_per(std::int64_t numbers) {
  return {.blocks = dim3(static_cast<unsigned>((numbers + kThreads - 1) / kThreads)),
          .threads = dim3(kThreads)};
}

}  // namespace

void merge_moments(NormSharing sharing, const Tensor& parts, const Tensor& merged) {
  const std::int64_t channels = parts.dim(2);
  if (channels == 0) return;
  launch(context(parts.device()), thread_per(channels), merge, sharing, parts.data<double>(),
         parts.dim(0), channels, merged.data<double>());
}

void add_parts(const Tensor& parts, const Tensor& total) {
  if (total.numel() == 0) return;
  launch(context(parts.device()), thread_per(total.numel()), add_up, parts.data<double>(),
         parts.dim(0), total.numel(), total.data<double>());
}

}  // namespace invp::cuda
