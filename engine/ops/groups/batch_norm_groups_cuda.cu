#include "engine/core/cuda_launch.cuh"
#include "engine/ops/groups/batch_norm_groups.h"
#include "engine/ops/groups/group_moments.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 128;

__global__ void merge(SharedParts shared, const double* parts, std::int64_t channels,
                      double* merged, double* divisors) {
  const std::int64_t c = thread_in_grid();
  if (c >= channels) return;
  const GroupMoments moments{parts + c, channels, shared};
  moments.merge(merged + c);
  if (c == 0) moments.write_divisors(divisors);
}

__global__ void average(const double* parts, std::int64_t count, std::int64_t numbers,
                        const double* divisor, double* averages) {
  const std::int64_t i = thread_in_grid();
  if (i >= numbers) return;
  double sum = 0;
  for (std::int64_t g = 0; g < count; ++g) sum += parts[g * numbers + i];
  averages[i] = sum * (1 / *divisor);
}

Grid thread_per(std::int64_t numbers) {
  return {.blocks = dim3(static_cast<unsigned>((numbers + kThreads - 1) / kThreads)),
          .threads = dim3(kThreads)};
}

}  // namespace

void merge_moments(const SharedParts& shared, const Tensor& parts, const Tensor& merged,
                   const Tensor& divisors) {
  const std::int64_t channels = parts.dim(2);
  if (channels == 0) return;
  launch(context(parts.device()), thread_per(channels), merge, shared, parts.data<double>(),
         channels, merged.data<double>(), divisors.data<double>());
}

void average_parts(const Tensor& parts, const Tensor& divisor, const Tensor& averages) {
  if (averages.numel() == 0) return;
  launch(context(parts.device()), thread_per(averages.numel()), average, parts.data<double>(),
         parts.dim(0), averages.numel(), divisor.data<double>(), averages.data<double>());
}

}  // namespace invp::cuda
