// Which GPUs can be used, and what prevents it, in words: the text of `invp doctor` and of the
// first line of a run. Functions of what was found, so that tests can describe every kind of
// machine.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/devices/cuda_info.h"

namespace invp {

/// What Linux shows of NVIDIA's hardware, whether or not this program has CUDA.
struct NvidiaHardware {
  bool on_bus = false;       ///< a GPU of NVIDIA's is among the PCI devices
  bool device_file = false;  ///< /dev/nvidia0, through which programs reach it
  std::string driver;        ///< release of the driver loaded, "580.95.05"; empty if there is none
  /// CUDA_VISIBLE_DEVICES, which hides all others.
  std::optional<std::string> visible;
};
NvidiaHardware nvidia_hardware();

/// Why no GPU can be used, and what to do about it; empty if one can.
std::string obstacle(const CudaInfo& cuda);
/// Why this GPU cannot be used; empty if it can.
std::string obstacle(const GpuInfo& gpu);
/// "NVIDIA H100 80GB HBM3, 85.03 GB"
std::string describe(const GpuInfo& gpu);
/// "CUDA 13.0, cuDNN 9.19.0": the libraries that are loaded, with their versions.
std::string describe_software(const CudaInfo& cuda);

struct GpuReport {
  /// Heading and text: one per GPU, then driver and runtime.
  std::vector<std::pair<std::string, std::string>> rows;
  /// What prevents the use of a GPU, each with what to do about it; empty if nothing does.
  std::vector<std::string> missing;
};
GpuReport gpu_report(const NvidiaHardware& hardware, const CudaInfo& cuda);

}  // namespace invp
