// What decides the last bits of a run beside its settings: how many threads add up a sum, which
// instructions and libraries compute it, how the program was built. A checkpoint holds it, so that
// a run that goes on elsewhere says so.
#pragma once

#include <map>
#include <string>

#include "engine/core/device.h"
#include "invp/run/run_metadata.h"

namespace invp {

/// Of this process: "threads", "instructions", "oneDNN", "libjpeg-turbo", "build", and of a GPU
/// its name and NVIDIA's libraries.
std::map<std::string, std::string> computing_conditions(Device device);

/// Adds them to a checkpoint's metadata.
void write_conditions(const std::map<std::string, std::string>& conditions, Metadata& metadata);

/// A line for a run on this device that goes on from a checkpoint: "the last bits may differ from
/// those of an uninterrupted run: threads 4, was 1". Empty if nothing is other than when it was
/// written, or where it does not say. Throws Error naming `origin` instead if --deterministic was
/// asked for (engine/core/numerics.h), which promises the same bits.
std::string resumed_elsewhere(const Metadata& checkpoint, Device device, const std::string& origin);

}  // namespace invp
