// Where a tensor lives. Only engine/ knows which devices a build and a machine have.
#pragma once

#include <cstdint>
#include <ostream>

namespace invp {

enum class DeviceType : std::uint8_t { kCpu, kCuda };

struct Device {
  DeviceType type = DeviceType::kCpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

inline constexpr Device kCpu{};

std::ostream& operator<<(std::ostream& out, Device device);

/// Waits until the device has done all queued work.
void synchronize(Device device);

}  // namespace invp
