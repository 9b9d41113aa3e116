// The options every computing subcommand shares: where, in which precision, on how many threads,
// from which seed.
#pragma once

#include <cstdint>
#include <string>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "tools/options.h"

namespace invp {

struct DeviceOptions {
  std::string device = "auto";
  std::string precision = "fp32";
  int threads = 0;
  std::int64_t seed = 0;
  bool deterministic = false;
};

void declare_device(Options& options, DeviceOptions& device);

/// What they come to; the thread pool is set. Throws Error with the way out for a device that is
/// not there.
struct Compute {
  DeviceChoice choice;
  DType type = DType::kF32;
  std::uint64_t seed = 0;
};
Compute start_compute(const DeviceOptions& device);

}  // namespace invp
