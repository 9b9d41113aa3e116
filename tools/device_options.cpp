#include "tools/device_options.h"

#include "engine/core/parallel.h"

namespace invp {

void declare_device(Options& options, DeviceOptions& device) {
  options.group("Device");
  options.text("device", device.device, "NAME", "cpu, cuda, cuda:N or auto");
  options.choice("precision", device.precision, {"fp32", "tf32", "bf16"},
                 "arithmetic of products; tf32 is fp32 on a CPU");
  options.integer("threads", device.threads, {0, 1024}, "CPU threads; 0: every core allowed");
  options.integer("seed", device.seed, {0, 9e18}, "of everything random");
  options.flag("deterministic", device.deterministic,
               "same bits on every run (always so on the CPU)");
}

Compute start_compute(const DeviceOptions& device) {
  set_num_threads(device.threads);
  return {choose_device(device.device), device.precision == "bf16" ? DType::kBF16 : DType::kF32,
          static_cast<std::uint64_t>(device.seed)};
}

}  // namespace invp
