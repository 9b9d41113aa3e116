// Which device a run computes on, and why.
#pragma once

#include <string>
#include <string_view>

#include "engine/core/device.h"
#include "engine/devices/cuda_info.h"

namespace invp {

/// A device and the reason it was chosen, for line one of every run.
struct DeviceChoice {
  Device device;
  std::string reason;
};

/// "cpu", "cuda", "cuda:N" or "auto". Throws Error, which says what to do, when there is no such
/// device.
DeviceChoice choose_device(std::string_view wanted);
/// The same for a machine that `cuda` describes.
DeviceChoice choose_device(std::string_view wanted, const CudaInfo& cuda);

}  // namespace invp
