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

/// Waits until the device has done all that was asked of it.
void synchronize(Device device);

/// A device and the reason it was chosen, for line one of every run.
struct DeviceChoice {
  Device device;
  std::string reason;
};

/// "cpu", "cuda", "cuda:N" or "auto". Throws Error with the way out when the device asked for is
/// not there.
DeviceChoice choose_device(std::string_view wanted);
struct CudaInfo;
/// The same for a machine described.
DeviceChoice choose_device(std::string_view wanted, const CudaInfo& cuda);

}  // namespace invp
