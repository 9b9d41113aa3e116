// A training run: epochs, order of the data, evaluation, checkpoints and reports, for every task.
//
// The run folder gets checkpoints/last.safetensors after every epoch, now and then inside one and
// when the run is stopped, and best.safetensors after the best epoch so far. A run resumed from a
// checkpoint ends in the same bytes as one that was never stopped.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "invp/run/identity.h"
#include "invp/run/observer.h"
#include "invp/run/position.h"
#include "invp/run/run_ranks.h"
#include "invp/run/task.h"

namespace invp {

struct RunConfig {
  std::string command;  ///< "invp pretrain", for checkpoints and for what is said to people
  int epochs = 1;
  std::int64_t steps = 0;  ///< the run ends after so many steps, inside an epoch too; 0: by epochs
  bool steps_in_reports = false;    ///< people think of this run in `steps`, not in epochs
  int evaluate_every = 1;           ///< epochs; the last one is always evaluated. 0: never
  std::vector<ShownMeasure> shown;  ///< in the table and the curves
  std::string best_by;              ///< the measure whose best epoch is kept as best.safetensors
  RunIdentity identity;
  std::string on_divergence = "Lower --lr";  ///< what to do when a loss is not finite
  /// Small files of the command's own, name and content, written when the run starts.
  std::map<std::string, std::string> files = {};

  std::filesystem::path out;  ///< the run folder
  std::string resume;         ///< "auto", a checkpoint's path, or empty: start anew
  int save_every = 0;         ///< keep epoch-NNNN every so many epochs; 0: only last and best
  int save_steps = 0;         ///< write `last` every so many steps inside an epoch; 0: save_minutes
  double save_minutes = 10;   ///< ... or when so much time has passed
  /// Those that share the run: then batches and task are of this rank's share, its calls are
  /// collective, and rank 0 alone writes and tells its observer.
  RunRanks ranks = {};
  double max_bad_share = 0.01;  ///< images that the ranks accept that cannot be read
  std::int64_t stop_after = 0;  ///< stop after so many steps in all; 0: never
};

struct RunResult {
  bool finished = false;  ///< false: stopped on request or by stop_after, with `last` written
  int epoch = 0;          ///< last epoch completed
  std::int64_t steps = 0;
  EpochReport last;                       ///< of that epoch
  std::map<std::string, BestEpoch> best;  ///< of each shown measure
  std::filesystem::path checkpoint;       ///< checkpoints/last.safetensors
};

/// Trains and evaluates. Nothing is written before every check has passed: the folder is not in use
/// and holds no other run, the checkpoint is whole and of the same run.
/// Throws Error when one of these fails, when a loss is not finite (weights and checkpoints are
/// then those of before), when too many images are broken, when a checkpoint cannot be written.
RunResult run_task(const RunConfig& config, BatchSource& batches, Task& task,
                   RunObserver& observer);

}  // namespace invp
