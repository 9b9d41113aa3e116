#include "tools/options/run_options.h"

#include "engine/core/error.h"
#include "invp/run/run_folder.h"
#include "tools/options/stop_signal.h"

namespace invp::cli {

void declare_run(Options& options, RunOptions& run) {
  options.group("Run");
  options.text("out", run.out, "DIR", "the run folder");
  options
      .text("resume", run.resume, "auto|FILE",
            "go on from the run folder's newest checkpoint, or from FILE")
      .not_a_setting();
  options.integer("save-every", run.save_every, {0, 1e6},
                  "keep a checkpoint every so many epochs; 0: last and best only");
  options.integer("save-steps", run.save_steps, {0, 1e9},
                  "also write last every so many steps; 0: by time");
  options.number("save-minutes", run.save_minutes, {0, 1e6, true},
                 "minutes between checkpoints inside an epoch");
  options.number("max-bad-share", run.max_bad_share, kProbability,
                 "share of unreadable images that stops the run");
  options
      .integer("stop-after", run.stop_after, {0, 1e15}, "stop after so many steps in all; 0: never")
      .not_a_setting();
}

void refuse_to_overwrite(const std::string& out, const std::string& resume) {
  const std::filesystem::path last =
      std::filesystem::path(out) / "checkpoints" / "last.safetensors";
  CHECK(!resume.empty() || !std::filesystem::exists(last), out,
        ": holds a run already; --resume auto goes on with it, --out DIR starts another elsewhere");
}

std::optional<std::filesystem::path> checkpoint_to_resume(const std::string& out,
                                                          const std::string& resume,
                                                          RunObserver& observer) {
  if (resume.empty()) return std::nullopt;
  if (resume == "auto") return find_checkpoint(out, observer);
  CHECK(std::filesystem::exists(resume), resume, ": no such checkpoint to resume from");
  return resume;
}

void StoppableReporter::step_finished(const StepReport& report) {
  last_step_ = report;
  RunReporter::step_finished(report);
}

bool StoppableReporter::stop_requested() const {
  return StopSignal::received() != 0;
}

}  // namespace invp::cli
