// Where a run stands, as its checkpoints keep it.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "invp/run/observer.h"
#include "invp/run/run_metadata.h"
#include "optim/progress.h"

namespace invp {

/// The best value of a measure, and the epoch that had it.
struct BestEpoch {
  double value = 0;
  int epoch = 0;
};

/// Exact: sums are stored bit for bit, so that a resumed epoch reports what an uninterrupted one
/// does.
struct Position {
  Progress progress;
  std::int64_t images = 0;                ///< of this epoch, already seen
  std::vector<double> loss_sums;          ///< over those images, in the order of Task::loss_names()
  double seconds = 0;                     ///< training time of this epoch so far
  double wait_seconds = 0;                ///< of which nothing was done but wait for images
  std::vector<double> last_losses;        ///< means of the last finished epoch, in the same order
  std::map<std::string, BestEpoch> best;  ///< by measure
  std::vector<std::int64_t> bad_images;   ///< positions in the set of those that were unreadable
  bool prepared = false;                  ///< Task::prepare() is done
};

/// The measures of the epoch under way that are better than those known.
void note_best(const std::vector<ShownMeasure>& shown, const std::vector<Measure>& measures,
               Position& position);

void write_position(const Position& position, const std::vector<std::string>& losses,
                    Metadata& metadata);

/// Reads also what versions before 2 wrote. `steps_per_epoch` is of the run that reads. Throws
/// Error naming `origin` and what is missing, no number or out of its range.
Position read_position(const Metadata& metadata, const std::vector<std::string>& losses,
                       std::int64_t steps_per_epoch, const std::string& origin);

/// Steps since the start; -1 where the metadata do not say, or not as a number.
std::int64_t steps_taken(const Metadata& metadata);

}  // namespace invp
