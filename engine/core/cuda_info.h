// What NVIDIA's runtime says of this machine, for choose_device and `invp doctor`.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace invp {

struct GpuInfo {
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  std::int64_t memory_bytes = 0;
  int compute_major = 0;  ///< compute capability
  int compute_minor = 0;
};

struct CudaInfo {
  bool built = false;  ///< was the program built with INVP_CUDA?
  std::string
      problem;     ///< why no GPU can be used though it was, in NVIDIA's words; empty if one can
  int driver = 0;  ///< newest CUDA the driver knows and the runtime linked, 1000 major + 10 minor
  int runtime = 0;
  std::vector<GpuInfo> gpus;
};

/// Never throws: a machine without a GPU or a driver is an answer too.
#ifdef INVP_CUDA
CudaInfo cuda_info();
#else
inline CudaInfo cuda_info() {
  return {};
}
#endif

}  // namespace invp
