// One element of anchor_targets.h, the same on both devices.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"

namespace invp {

HOST_DEVICE inline float objectness_of(std::int32_t label) {
  constexpr float kIgnored = -1;  // kIgnoredTarget of the loss
  return label > 0 ? 1.0F : label == 0 ? 0.0F : kIgnored;
}
HOST_DEVICE inline std::int32_t column_of(std::int32_t label) {
  return label > 0 ? 0 : -1;
}

}  // namespace invp
