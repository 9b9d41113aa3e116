#include "engine/core/device.h"

namespace invp {

std::ostream& operator<<(std::ostream& out, Device device) {
  if (device.type == DeviceType::kCpu) return out << "cpu";
  return out << "cuda:" << device.index;
}

#ifndef INVP_CUDA
void synchronize(Device) {}
#endif

}  // namespace invp
