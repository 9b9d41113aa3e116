// The run folder of a command that trains.
#pragma once

#include <string>

#include "invp/run/run.h"
#include "tools/options/options.h"

namespace invp::cli {

struct RunOptions {
  std::string out;
  std::string resume;
  int save_every = 0;
  int save_steps = 0;
  double save_minutes = 10;
  double max_bad_share = 0.01;
  std::int64_t stop_after = 0;
};

/// --out, --resume, --save-every, ... under the heading "Run". `run.out` holds the default.
void declare_run(Options& options, RunOptions& run);

/// Into the settings of a run, but for max_bad_share, which is the loader's. What decides the
/// weights is taken from the options' own marks, once they are resolved.
void apply(const RunOptions& run, const Options& options, RunConfig& config);

}  // namespace invp::cli
