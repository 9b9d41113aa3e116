// The unit in which shards of a bank add up weights times rows.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"

namespace invp {

inline constexpr double kWeighedUnits = 1125899906842624.0;  ///< in 1: 2^50

/// The product of two f32, exact in f64, cut off at 2^-50. Nothing for NaN, and from 2^12 upwards.
HOST_DEVICE inline std::int64_t weighed(float weight, float element) {
  constexpr double kMost = 4096 * kWeighedUnits;
  const double units = static_cast<double>(weight) * static_cast<double>(element) * kWeighedUnits;
  return units > -kMost && units < kMost ? static_cast<std::int64_t>(units) : 0;
}

}  // namespace invp
