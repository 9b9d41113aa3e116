// The state of a supervised run in one safetensors file: what the task trains, the momentum
// ("optimizer.NAME", in the engine's layout), and as metadata where the run stands and what it was
// started with.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "invp/run/supervised_run.h"

namespace invp {

/// Exact: sums are stored bit for bit, so that a resumed epoch reports what an uninterrupted one
/// does.
struct SupervisedPosition {
  int epoch = 1;                          ///< the epoch under way, counted from 1
  std::int64_t step = 0;                  ///< its steps already taken
  std::int64_t global_step = 0;           ///< steps since the start
  std::int64_t images = 0;                ///< of this epoch, already seen
  std::vector<double> loss_sums;          ///< over those images, by loss
  double seconds = 0;                     ///< training time of this epoch so far
  double wait_seconds = 0;                ///< of which nothing was done but wait for images
  double last_loss = 0;                   ///< of the last finished epoch
  std::map<std::string, BestEpoch> best;  ///< by measure
};

/// Atomic, as save_checkpoint of a pretraining run.
void save_supervised(const std::filesystem::path& path, SupervisedTask& task,
                     const SupervisedPosition& position, const RunIdentity& identity);

/// Throws Error naming the file and the way out when it is not whole, no checkpoint of `command`,
/// or of another run.
SupervisedPosition load_supervised(const std::filesystem::path& path, SupervisedTask& task,
                                   const SupervisedConfig& config);

}  // namespace invp
