#include "engine/ops/groups/batch_norm_groups.h"
#include "engine/ops/groups/group_moments.h"

namespace invp::cpu {

void merge_moments(const SharedParts& shared, const Tensor& parts, const Tensor& merged,
                   const Tensor& divisors) {
  const std::int64_t channels = parts.dim(2);
  for (std::int64_t c = 0; c < channels; ++c) {
    const GroupMoments moments{parts.data<double>() + c, channels, shared};
    moments.merge(merged.data<double>() + c);
    if (c == 0) moments.write_divisors(divisors.data<double>());
  }
}

void average_parts(const Tensor& parts, const Tensor& divisor, const Tensor& averages) {
  const std::int64_t numbers = averages.numel();
  const double share = 1 / divisor.data<double>()[0];
  for (std::int64_t i = 0; i < numbers; ++i) {
    double sum = 0;
    for (std::int64_t g = 0; g < parts.dim(0); ++g) sum += parts.data<double>()[g * numbers + i];
    averages.data<double>()[i] = sum * share;
  }
}

}  // namespace invp::cpu
