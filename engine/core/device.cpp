#include "engine/core/device.h"

#include "engine/core/error.h"

namespace invp {

std::ostream& operator<<(std::ostream& out, Device device) {
  if (device.type == DeviceType::kCpu) return out << "cpu";
  return out << "cuda:" << device.index;
}

DeviceChoice choose_device(std::string_view wanted) {
  if (wanted == "cpu") return {kCpu, "asked for"};
  if (wanted == "auto") return {kCpu, "this version computes on the CPU only"};
  CHECK(wanted.starts_with("cuda"), "unknown device '", wanted, "': use cpu, cuda, cuda:N or auto");
  fail("--device ", wanted, ": this version computes on the CPU only; use --device cpu or auto");
}

}  // namespace invp
