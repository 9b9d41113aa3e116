#include "engine/devices/gpu_report.h"

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"

namespace invp {

namespace {

constexpr int kLeastMajor = 8;  // compute capability 8.0, Ampere: what the kernels are built for

std::string first_line(const std::filesystem::path& file) {
  std::ifstream in(file);
  std::string line;
  std::getline(in, line);
  return line;
}

std::string version(int number) {
  return message(number / 1000, '.', number % 1000 / 10);
}

/// The oldest release of NVIDIA's driver that runs programs of this CUDA; empty if not known here.
std::string least_driver(int runtime) {
  constexpr std::array<std::pair<int, const char*>, 3> kReleases{
      {{11, "450"}, {12, "525"}, {13, "580"}}};
  for (const auto& [major, release] : kReleases) {
    if (runtime / 1000 == major) return release;
  }
  return {};
}

std::string driver_wanted(const CudaInfo& cuda) {
  const std::string release = least_driver(cuda.runtime);
  return "a driver for CUDA " + version(cuda.runtime) +
         (release.empty() ? "" : ", release " + release + " or newer");
}

std::string state_of(const CudaInfo& cuda, const GpuInfo& gpu) {
  std::string text = describe(gpu);
  if (gpu.free_bytes >= 0) text += message(", ", format_bytes(gpu.free_bytes), " free");
  text += message(", compute capability ", gpu.compute_major, '.', gpu.compute_minor);
  if (cuda.emulated) return text + ": emulated by the CPU, for tests";
  const std::string reason = obstacle(gpu);
  return text + (reason.empty() ? ": usable" : ": not usable");
}

/// Why a program with CUDA sees no GPU.
std::string unseen(const NvidiaHardware& hardware, const CudaInfo& cuda) {
  if (!hardware.on_bus && !hardware.device_file)
    return "no NVIDIA GPU in sight: the CPU does everything";
  if (hardware.driver.empty()) {
    return message("an NVIDIA GPU is here but its driver is not loaded: install ",
                   driver_wanted(cuda));
  }
  if (!hardware.device_file) {
    return message("an NVIDIA GPU and its driver ", hardware.driver,
                   " are here but out of reach: a container needs --gpus all and NVIDIA's "
                   "Container Toolkit");
  }
  if (hardware.visible) {
    return message("CUDA_VISIBLE_DEVICES is '", *hardware.visible,
                   "' and hides the GPUs: unset it");
  }
  return message("the GPU cannot be used: ", obstacle(cuda));
}

}  // namespace

NvidiaHardware nvidia_hardware() {
  NvidiaHardware hardware{.device_file = std::filesystem::exists("/dev/nvidia0"),
                          .driver = first_line("/sys/module/nvidia/version")};
  if (const char* visible = std::getenv("CUDA_VISIBLE_DEVICES")) hardware.visible = visible;
  std::error_code none;
  for (const auto& device : std::filesystem::directory_iterator("/sys/bus/pci/devices", none)) {
    const bool nvidia = first_line(device.path() / "vendor") == "0x10de";
    const bool display = first_line(device.path() / "class").starts_with("0x03");
    hardware.on_bus = hardware.on_bus || (nvidia && display);
  }
  return hardware;
}

std::string obstacle(const CudaInfo& cuda) {
  if (!cuda.built) {
    return "this program was built without CUDA; with the CUDA toolkit, cmake --preset cuda builds "
           "it with";
  }
  if (cuda.driver == 0) return "no NVIDIA driver is installed";
  if (cuda.driver / 1000 < cuda.runtime / 1000) {
    return message("the NVIDIA driver knows CUDA ", version(cuda.driver),
                   ", this program was built with ", version(cuda.runtime), ": install ",
                   driver_wanted(cuda), ", or build with an older toolkit");
  }
  if (!cuda.problem.empty()) return "NVIDIA's runtime says: " + cuda.problem;
  if (cuda.gpus.empty()) return "there is no NVIDIA GPU here";
  return {};
}

std::string obstacle(const GpuInfo& gpu) {
  if (!gpu.problem.empty()) return message(gpu.name, ": NVIDIA's runtime says: ", gpu.problem);
  if (gpu.compute_major >= kLeastMajor) return {};
  return message(gpu.name, " has compute capability ", gpu.compute_major, '.', gpu.compute_minor,
                 ", ", kLeastMajor, ".0 is the least");
}

std::string describe(const GpuInfo& gpu) {
  return message(gpu.name, ", ", format_bytes(gpu.memory_bytes));
}

std::string describe_software(const CudaInfo& cuda) {
  std::string text = message("CUDA ", version(cuda.runtime));
  for (const CudaLibrary& library : cuda.libraries)
    text += ", " + library.name + ' ' + library.loaded;
  return text;
}

GpuReport gpu_report(const NvidiaHardware& hardware, const CudaInfo& cuda) {
  GpuReport report;
  for (std::size_t i = 0; i < cuda.gpus.size(); ++i) {
    report.rows.emplace_back(message("GPU ", i), state_of(cuda, cuda.gpus[i]));
    if (const std::string reason = obstacle(cuda.gpus[i]); !reason.empty())
      report.missing.push_back(message("GPU ", i, " cannot be used: ", reason));
  }
  if (!hardware.driver.empty() || cuda.driver > 0) {
    report.rows.emplace_back(
        "driver", message(hardware.driver.empty() ? "NVIDIA" : "NVIDIA " + hardware.driver,
                          cuda.driver > 0 ? ", for CUDA up to " + version(cuda.driver) : ""));
  }
  if (cuda.built) {
    report.rows.emplace_back("CUDA", message("runtime ", version(cuda.runtime),
                                             cuda.emulated ? ", emulated by the CPU" : ""));
  }
  if (!cuda.built) {
    report.missing.emplace_back(
        hardware.on_bus || hardware.device_file
            ? "an NVIDIA GPU is here but this build has no CUDA: cmake --preset cuda (needs the "
              "CUDA "
              "toolkit)"
            : "no CUDA in this build and no NVIDIA GPU in sight: the CPU does everything");
  } else if (cuda.driver > 0 && cuda.driver / 1000 < cuda.runtime / 1000) {
    report.missing.push_back(obstacle(cuda));
  } else if (cuda.gpus.empty()) {
    report.missing.push_back(unseen(hardware, cuda));
  }
  return report;
}

}  // namespace invp
