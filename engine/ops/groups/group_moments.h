// The arithmetic of batch_norm_groups.h on one channel, the same on both devices.
#pragma once

#include "engine/core/host_device.h"
#include "engine/ops/groups/batch_norm_groups.h"

namespace invp {

struct ChannelMoments {
  double count = 0;
  double mean = 0;
  double squares = 0;  ///< sum of squared deviations from it
};

/// One channel of (parts, 3, channels) moments.
struct GroupMoments {
  const double* first;
  std::int64_t channels;
  SharedParts shared;

  HOST_DEVICE ChannelMoments part(std::int64_t p) const {
    const double* const at = first + p * 3 * channels;
    return {at[0], at[channels], at[2 * channels]};
  }

  /// Of the values of all these parts at once. A part without values has no share.
  HOST_DEVICE ChannelMoments joined(std::int64_t begin, std::int64_t end) const {
    ChannelMoments all;
    for (std::int64_t p = begin; p < end; ++p) {
      const ChannelMoments one = part(p);
      all.count += one.count;
      all.mean += one.count * one.mean;
    }
    all.mean /= all.count;
    for (std::int64_t p = begin; p < end; ++p) {
      const ChannelMoments one = part(p);
      const double away = one.mean - all.mean;
      all.squares += one.squares + one.count * away * away;
    }
    return all;
  }

  HOST_DEVICE std::int64_t groups() const { return shared.parts / shared.per_group; }
  HOST_DEVICE ChannelMoments group(std::int64_t g) const {
    return shared.per_group == 1 ? part(g)
                                 : joined(g * shared.per_group, (g + 1) * shared.per_group);
  }

  /// Each group counts as one value; one without values does not count.
  HOST_DEVICE ChannelMoments averaged() const {
    ChannelMoments all;
    for (std::int64_t g = 0; g < groups(); ++g) {
      const ChannelMoments one = group(g);
      if (!(one.count > 0)) continue;
      all.count += 1;
      all.mean += one.mean;
    }
    all.mean /= all.count;
    for (std::int64_t g = 0; g < groups(); ++g) {
      const ChannelMoments one = group(g);
      if (!(one.count > 0)) continue;
      const double away = one.mean - all.mean;
      all.squares += one.squares / one.count + away * away;
    }
    return all;
  }

  HOST_DEVICE bool naive() const { return shared.sharing == NormSharing::kNaive; }

  /// Writes count, mean and squares, `channels` apart.
  HOST_DEVICE void merge(double* merged) const {
    const ChannelMoments all = naive() ? averaged() : joined(0, shared.parts);
    merged[0] = naive() ? kManyValues : all.count;
    merged[channels] = all.mean;
    merged[2 * channels] = naive() ? all.squares / all.count * kManyValues : all.squares;
  }

  /// For each part, what a sum over all parts is divided by in the gradient of its values.
  HOST_DEVICE void write_divisors(double* divisors) const {
    const double all = naive() ? averaged().count : joined(0, shared.parts).count;
    for (std::int64_t p = 0; p < shared.parts; ++p)
      divisors[p] = naive() ? all * group(p / shared.per_group).count : all;
  }
};

}  // namespace invp
