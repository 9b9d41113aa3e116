// The checkpoints that a run leaves in its folder, each written once, under as many names as it
// has.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/core/stopwatch.h"
#include "invp/run/position.h"
#include "invp/run/run.h"
#include "invp/run/run_folder.h"

namespace invp {

class RunCheckpoints {
 public:
  RunCheckpoints(const RunConfig& config, const RunFolder& folder, Task& task,
                 RunObserver& observer)
      : config_(config), folder_(folder), task_(task), observer_(observer) {}

  /// Under the first name; the others become names of the same file, in their order. Throws Error
  /// when it cannot be written.
  void save(const std::vector<std::string>& names, const Position& position);
  /// Is it time for one inside an epoch? By the steps taken, or where these do not decide, by the
  /// clock, which is another one on each rank.
  bool due_by_steps(const Position& position) const;
  bool due_by_clock() const;

  /// The names of the checkpoint that a finished epoch leaves. `last` says that the epoch is done,
  /// so it is the last to be written: killed before it, the run does the end of the epoch again.
  std::vector<std::string> names_of_epoch(int epoch, const Position& position) const;
  /// Gives what a run was resumed from its other names: it may be the only one that a killed run
  /// has written of its epoch, or what is left of several.
  void settle(const std::filesystem::path& checkpoint, const Position& position);

 private:
  void put_in_place(const std::filesystem::path& checkpoint, const std::string& name,
                    const Position& position);

  const RunConfig& config_;
  const RunFolder& folder_;
  Task& task_;
  RunObserver& observer_;
  Stopwatch since_save_;
};

/// All of the steps that a run has are taken.
bool all_steps_done(const RunConfig& config, const Position& position);

}  // namespace invp
