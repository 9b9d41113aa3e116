// The state of a run in one safetensors file: what the task trains under its own names, the
// momentum ("optimizer.NAME", in the engine's layout), and as metadata where the run stands and
// what decides its weights. Randomness needs no state (engine/core/random.h).
#pragma once

#include <filesystem>
#include <string>

#include "engine/core/error.h"
#include "engine/files/tensor_file.h"
#include "invp/run/identity.h"
#include "invp/run/position.h"
#include "invp/run/task.h"

namespace invp {

/// Atomic: PATH holds the old checkpoint or the new one, whatever happens meanwhile. `command` is
/// "invp pretrain". Throws Error when it cannot be written. For rank 0; where the task has spread
/// rows, the ranks that hold them are in their serve() meanwhile.
void save_checkpoint(const std::filesystem::path& path, const std::string& command, Task& task,
                     const Position& position, const RunIdentity& identity);

/// What a file holds, all of it read and compared with its checksums (of files that have some).
struct Checkpoint {
  std::filesystem::path path;
  TensorFile file;
};

/// Throws Error when it is not whole or no checkpoint of ours, of whichever command.
Checkpoint read_checkpoint(const std::filesystem::path& path);

/// What a checkpoint of the right run holds cannot have been written by it.
class DamagedCheckpoint : public Error {
 public:
  using Error::Error;
};

/// Fills the task, and returns where its run stood. Throws Error naming the file and the way out
/// when it is not a checkpoint of `command`, or of a run with another identity; DamagedCheckpoint
/// when its tensors are not exactly those of the task, or its numbers are not possible. The task
/// must then be filled from another one before it is used.
Position restore(const Checkpoint& checkpoint, const std::string& command, Task& task,
                 std::int64_t steps_per_epoch, const RunIdentity& identity);

}  // namespace invp
