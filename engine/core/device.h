// Where a tensor lives. Which devices a build and a machine have is the business of engine/ alone.
#pragma once

#include <cstdint>
#include <ostream>
#include <string>
#include <string_view>

namespace invp {

enum class DeviceType : std::uint8_t { kCpu, kCuda };

struct Device {
  DeviceType type = DeviceType::kCpu;
  int index = 0;
  bool operator==(const Device&) const = default;
};

inline constexpr Device kCpu{};

std::ostream& operator<<(std::ostream& out, Device device);

/// A device and the reason it was chosen, for line one of every run.
struct DeviceChoice {
  Device device;
  std::string reason;
};

/// "cpu", "cuda", "cuda:N" or "auto". Throws Error with the way out when the device asked for is
/// not there.
DeviceChoice choose_device(std::string_view wanted);

}  // namespace invp
