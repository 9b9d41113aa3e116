#include "engine/ops/groups/batch_norm_groups.h"
#include "engine/ops/groups/group_moments.h"

namespace invp::cpu {

void merge_moments(NormSharing sharing, const Tensor& parts, const Tensor& merged) {
  const std::int64_t channels = parts.dim(2);
  for (std::int64_t c = 0; c < channels; ++c) {
    const GroupMoments moments{parts.data<double>() + c, parts.dim(0), channels};
    moments.merge(sharing, merged.data<double>() + c);
  }
}

void add_parts(const Tensor& parts, const Tensor& total) {
  const std::int64_t numbers = total.numel();
  for (std::int64_t i = 0; i < numbers; ++i) {
    double sum = 0;
    for (std::int64_t g = 0; g < parts.dim(0); ++g) sum += parts.data<double>()[g * numbers + i];
    total.data<double>()[i] = sum;
  }
}

}  // namespace invp::cpu
