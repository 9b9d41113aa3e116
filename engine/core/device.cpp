#include "engine/core/device.h"

#include "engine/core/cuda_info.h"
#include "engine/core/error.h"

namespace invp {

std::ostream& operator<<(std::ostream& out, Device device) {
  if (device.type == DeviceType::kCpu) return out << "cpu";
  return out << "cuda:" << device.index;
}

DeviceChoice choose_device(std::string_view wanted) {
  if (wanted == "cpu") return {kCpu, "asked for"};
  constexpr const char* kCpuOnly = "this version computes on the CPU only";
  if (wanted == "auto") {
    const CudaInfo cuda = cuda_info();
    return {kCpu, cuda.gpus.empty()
                      ? kCpuOnly
                      : message(kCpuOnly, "; ", cuda.gpus.front().name, " stays idle")};
  }
  CHECK(wanted.starts_with("cuda"), "unknown device '", wanted, "': use cpu, cuda, cuda:N or auto");
  fail("--device ", wanted, ": ", kCpuOnly, "; use --device cpu or auto");
}

}  // namespace invp
