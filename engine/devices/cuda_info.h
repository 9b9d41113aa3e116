// What NVIDIA's runtime reports about this machine, for choose_device and `invp doctor`.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace invp {

struct GpuInfo {
  std::string name;  ///< "NVIDIA H100 80GB HBM3"
  std::int64_t memory_bytes = 0;
  int compute_major = 0;  ///< compute capability
  int compute_minor = 0;
  // Known once it was tried (try_gpus):
  std::int64_t free_bytes = -1;  ///< -1: not known
  std::string problem = {};      ///< why no work can be started on it, in NVIDIA's words
};

/// A library of NVIDIA's that the program is linked with.
struct CudaLibrary {
  std::string name;
  std::string built;   ///< the version of its headers
  std::string loaded;  ///< the version that runs
  std::string use;
};

struct CudaInfo {
  bool built = false;  ///< was the program built with INVP_CUDA?
  std::string
      problem;     ///< why no GPU can be used although it was, in NVIDIA's words; empty if one can
  int driver = 0;  ///< newest CUDA the driver knows and the runtime linked, 1000 major + 10 minor
  int runtime = 0;
  bool emulated = false;  ///< the CPU emulates the GPU (tests/emulator)
  std::vector<GpuInfo> gpus;
  std::vector<CudaLibrary> libraries = {};
  /// Pairs of GPUs that cannot read each other's memory: what goes between them goes by the host.
  std::vector<std::pair<int, int>> apart = {};
};

/// Never throws: a machine without a GPU or a driver is a valid answer.
CudaInfo cuda_info();
/// Starts the driver on every GPU, which takes time and some memory there, and notes how much
/// memory is free and what fails.
void try_gpus(CudaInfo& info);

}  // namespace invp
