#include "tools/options/device_options.h"

#include <iostream>

#include "engine/core/error.h"
#include "engine/core/numerics.h"
#include "engine/core/parallel.h"
#include "engine/devices/device_choice.h"

namespace invp::cli {

namespace {

std::string precision_text(const DeviceOptions& device, bool on_cpu) {
  if (on_cpu) return device.precision == "tf32" ? "fp32, as tf32 is on a CPU" : device.precision;
  return device.precision + (device.deterministic ? ", deterministic" : ", not deterministic");
}

}  // namespace

void declare_threads(Options& options, int& threads) {
  options.integer("threads", threads, {0, 1024},
                  "CPU threads; 0: OMP_NUM_THREADS, or every core allowed");
}

void declare_device(Options& options, DeviceOptions& device) {
  // Another device or number of threads only changes rounding: a run may move to another machine.
  // --deterministic promises the same bits, so a run that began with it must keep it.
  options.group("Device", Decides::kNothing);
  options
      .text("device", device.device, "NAME", "cpu, cuda, cuda:N or auto (a GPU, if there is one)")
      .common();
  options
      .choice("precision", device.precision, {"fp32", "tf32", "bf16"},
              "arithmetic of matrix products and convolutions")
      .notes({"32 bits", "the GPU's tensor cores at reduced precision; on a CPU as fp32",
              "16 bits; on a CPU only with AVX-512"})
      .decides()
      .common();
  declare_threads(options, device.threads);
  options.integer("seed", device.seed, {0, 9e18}, "of everything random").decides().common();
  options
      .flag("deterministic", device.deterministic,
            "the same bits on every run of a GPU (a CPU always gives them)")
      .decides();
}

Compute start_compute(const DeviceOptions& device) {
  set_num_threads(device.threads);
  set_numerics({.allow_tf32 = device.precision == "tf32", .deterministic = device.deterministic});
  const DeviceChoice choice = choose_device(device.device);
  const bool bf16 = device.precision == "bf16";
  CHECK(!bf16 || multiplies_bf16(choice.device),
        "--precision bf16: on a CPU it needs AVX-512, which this one does not have; use "
        "--precision fp32");
  return {.device = choice.device,
          .type = bf16 ? DType::kBF16 : DType::kF32,
          .seed = static_cast<std::uint64_t>(device.seed),
          .text = message(choice.device, ", ", precision_text(device, choice.device == kCpu), ", ",
                          num_threads(), num_threads() == 1 ? " thread" : " threads",
                          num_threads() < device.threads ? " (all that the system starts)" : ""),
          .reason = choice.reason};
}

std::string device_line(const Compute& compute) {
  return message("device   ", compute.text, ": ", compute.reason);
}

void announce(const Compute& compute) {
  std::cerr << device_line(compute) << '\n';
}

}  // namespace invp::cli
