// The arithmetic of batch_norm_groups.h on one channel, the same on both devices.
#pragma once

#include "engine/core/host_device.h"
#include "engine/ops/groups/batch_norm_groups.h"

namespace invp {

/// One channel of (groups, 3, channels) moments: count, mean and squares of each group.
struct GroupMoments {
  const double* first;
  std::int64_t groups;
  std::int64_t channels;

  HOST_DEVICE double count(std::int64_t g) const { return first[g * 3 * channels]; }
  HOST_DEVICE double mean(std::int64_t g) const { return first[(g * 3 + 1) * channels]; }
  HOST_DEVICE double squares(std::int64_t g) const { return first[(g * 3 + 2) * channels]; }

  /// Writes count, mean and squares, `channels` apart.
  HOST_DEVICE void merge(NormSharing sharing, double* merged) const {
    const bool naive = sharing == NormSharing::kNaive;
    double total = 0, mean_sum = 0;
    for (std::int64_t g = 0; g < groups; ++g) {
      const double weight = naive ? 1 : count(g);
      total += weight;
      mean_sum += weight * mean(g);
    }
    const double merged_mean = mean_sum / total;
    double squares_sum = 0;
    for (std::int64_t g = 0; g < groups; ++g) {
      const double away = mean(g) - merged_mean;
      squares_sum +=
          naive ? squares(g) / count(g) + away * away : squares(g) + count(g) * away * away;
    }
    merged[0] = naive ? kManyValues : total;
    merged[channels] = merged_mean;
    merged[2 * channels] = naive ? squares_sum / total * kManyValues : squares_sum;
  }
};

}  // namespace invp
