#include "tools/options/run_options.h"

namespace invp::cli {

void declare_run(Options& options, RunOptions& run) {
  options.group("Run", Decides::kNothing);
  options.text("out", run.out, "DIR", "the run folder").common();
  options
      .text("resume", run.resume, "auto|FILE",
            "continue from the checkpoint of the run folder that is furthest on, or from FILE")
      .not_a_setting()
      .common();
  options.integer("save-every", run.save_every, {0, 1e6},
                  "keep a checkpoint of every Nth epoch; 0: only the last and the best");
  options.integer("save-steps", run.save_steps, {0, 1e9},
                  "write the last checkpoint every N steps too; 0: see --save-minutes");
  options.number("save-minutes", run.save_minutes, {0, 1e6, true},
                 "minutes between checkpoints inside an epoch");
  options.number("max-bad-share", run.max_bad_share, kProbability,
                 "share of unreadable images above which the run stops");
  options
      .integer("stop-after", run.stop_after, {0, 1e15},
               "stop after N steps, counted from the start of the first run; 0: never")
      .not_a_setting();
}

void apply(const RunOptions& run, const Options& options, RunConfig& config) {
  for (const auto& [name, value] : options.deciding()) {
    config.identity.entries.push_back(
        {.name = name, .value = value, .otherwise = options.default_of(name)});
  }
  config.out = run.out;
  config.resume = run.resume;
  config.save_every = run.save_every;
  config.save_steps = run.save_steps;
  config.save_minutes = run.save_minutes;
  config.stop_after = run.stop_after;
}

}  // namespace invp::cli
