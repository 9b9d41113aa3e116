// Where a training run stands. Learning rates, and whatever else changes over a run, are functions
// of it.
#pragma once

#include <cstdint>

namespace invp {

/// Of the step that is taken next. Epochs count from 1, steps from 0.
struct Progress {
  std::int64_t step = 0;             ///< steps taken since the start of the run
  int epoch = 1;                     ///< the epoch under way
  std::int64_t epoch_step = 0;       ///< steps taken of it
  std::int64_t steps_per_epoch = 1;  ///< the last, shorter batch included
};

}  // namespace invp
