#include "engine/devices/device_choice.h"

#include <charconv>
#include <utility>

#include "engine/core/error.h"
#include "engine/devices/gpu_report.h"

namespace invp {

namespace {

/// What the first line of a run says about its GPU.
std::string describe_choice(const CudaInfo& cuda, std::size_t gpu) {
  return describe(cuda.gpus[gpu]) + "; " + describe_software(cuda);
}

DeviceChoice choose_automatically(const CudaInfo& cuda) {
  std::string reason = obstacle(cuda);
  if (!reason.empty()) return {kCpu, std::move(reason)};
  if (cuda.emulated) return {kCpu, "the GPU of this build is only emulated, for tests"};
  for (std::size_t i = 0; i < cuda.gpus.size(); ++i) {
    reason = obstacle(cuda.gpus[i]);
    if (reason.empty()) return {{DeviceType::kCuda, static_cast<int>(i)}, describe_choice(cuda, i)};
  }
  return {kCpu, std::move(reason)};
}

/// The N of cuda:N; 0 for cuda alone.
int gpu_number(std::string_view wanted) {
  constexpr std::string_view kName = "cuda";
  if (wanted == kName) return 0;
  int number = -1;
  if (wanted.starts_with("cuda:")) {
    wanted.remove_prefix(kName.size() + 1);
    const char* const end = wanted.data() + wanted.size();
    const auto [rest, error] = std::from_chars(wanted.data(), end, number);
    if (error != std::errc() || rest != end) number = -1;
  }
  return number;
}

}  // namespace

DeviceChoice choose_device(std::string_view wanted) {
  return choose_device(wanted, cuda_info());
}

DeviceChoice choose_device(std::string_view wanted, const CudaInfo& cuda) {
  if (wanted == "cpu") return {kCpu, "asked for"};
  if (wanted == "auto") return choose_automatically(cuda);
  const int number = gpu_number(wanted);
  CHECK(number >= 0, "unknown device '", wanted, "': use cpu, cuda, cuda:N or auto");
  std::string reason = obstacle(cuda);
  CHECK(reason.empty(), "--device ", wanted, ": ", reason, ". --device cpu runs without");
  const auto gpu = static_cast<std::size_t>(number);
  CHECK(gpu < cuda.gpus.size(), "--device ", wanted, ": there ",
        cuda.gpus.size() == 1 ? "is 1 GPU" : message("are ", cuda.gpus.size(), " GPUs"),
        ", counted from 0");
  reason = obstacle(cuda.gpus[gpu]);
  CHECK(reason.empty(), "--device ", wanted, ": ", reason, ". --device cpu runs without");
  return {{DeviceType::kCuda, number}, message("asked for; ", describe_choice(cuda, gpu))};
}

#ifndef INVP_CUDA
CudaInfo cuda_info() {
  return {};
}

void try_gpus(CudaInfo&) {}
#endif

}  // namespace invp
