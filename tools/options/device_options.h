// The options of every subcommand that computes: device, precision, threads, seed.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "tools/options/options.h"

namespace invp::cli {

struct DeviceOptions {
  std::string device = "auto";
  std::string precision = "fp32";
  int threads = 0;
  std::int64_t seed = 0;
  bool deterministic = false;
};

void declare_device(Options& options, DeviceOptions& device);
/// --threads alone, for commands that need no device.
void declare_threads(Options& options, int& threads);

/// What the options give.
struct Compute {
  Device device;
  DType type = DType::kF32;
  std::uint64_t seed = 0;
  std::string text;    ///< "cpu, fp32, 2 threads"
  std::string reason;  ///< why this device
};

/// Sets threads and numerics for the whole process. Throws Error that says what to do instead, for
/// a device that is not there or does not have the precision.
Compute start_compute(const DeviceOptions& device);

/// Line one of a run: "device   cpu, fp32, 2 threads: there is no NVIDIA GPU here".
std::string device_line(const Compute& compute);
/// Prints it on stderr, before the first work.
void announce(const Compute& compute);

}  // namespace invp::cli
