// The state of a run in one safetensors file: what the task trains under its own names, the
// momentum ("optimizer.NAME", in the engine's layout), and as metadata where the run stands and
// what decides its weights. Randomness needs no state (engine/core/random.h).
#pragma once

#include <filesystem>
#include <string>

#include "engine/files/tensor_file.h"
#include "invp/run/identity.h"
#include "invp/run/position.h"
#include "invp/run/task.h"

namespace invp {

/// Atomic: PATH holds the old checkpoint or the new one, whatever happens meanwhile. `command` is
/// "invp pretrain". Throws Error when it cannot be written.
void save_checkpoint(const std::filesystem::path& path, const std::string& command, Task& task,
                     const Position& position, const RunIdentity& identity);

/// Fills the task, and returns where its run stood. Throws Error naming the file and the way out
/// when it is not whole, not a checkpoint of `command`, or of a run with another identity.
Position load_checkpoint(const std::filesystem::path& path, const std::string& command, Task& task,
                         std::int64_t steps_per_epoch, const RunIdentity& identity);

/// Is the file a whole checkpoint, of whichever command? Says why not in `reason`.
bool is_whole_checkpoint(const std::filesystem::path& path, std::string& reason);

}  // namespace invp
