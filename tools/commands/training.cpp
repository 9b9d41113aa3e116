#include "tools/commands/training.h"

#include <algorithm>
#include <cmath>
#include <iostream>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/stop.h"
#include "engine/core/text.h"
#include "invp/run/conditions.h"

namespace invp::cli {

namespace {

Results number_or_null(double value) {
  return std::isfinite(value) ? Results(value) : Results(nullptr);
}

std::int64_t peak_of(const RunResult& result, Device device) {
  return std::max(result.last.peak_memory_bytes, memory_stats(device).peak);
}

}  // namespace

void StoppableReporter::step_finished(const StepReport& report) {
  last_step_ = report;
  RunReporter::step_finished(report);
}

bool StoppableReporter::stop_requested() const {
  return stop_signal() != 0;
}

std::string run_line(const RunConfig& config) {
  const std::string from = config.resume.empty()     ? ""
                           : config.resume == "auto" ? ", to go on if there is a checkpoint"
                                                     : ", to go on from " + config.resume;
  return message("run      ", config.out.string(), from);
}

void tell_end(StoppableReporter& reporter, const RunResult& result, Device device) {
  if (result.finished) {
    reporter.note(message("finished after ", counted(result.epoch, "epoch"), ", ",
                          counted(result.steps, "step"), ", peak memory ",
                          format_bytes(peak_of(result, device))));
    return;
  }
  reporter.note(message("stopped at step ", result.steps, "; --resume auto goes on from ",
                        result.checkpoint.string()));
  check_stop();
}

void add_run_results(Results& results, const RunResult& result, const StoppableReporter& reporter,
                     Device device) {
  results["epoch"] = result.epoch;
  results["loss"] = number_or_null(result.epoch > 0 ? result.last.loss : reporter.last_step().loss);
  results["images_per_second"] = number_or_null(result.last.images_per_second);
  results["peak_memory_bytes"] = peak_of(result, device);
  results["checkpoint"] = result.checkpoint.string();
}

Results figure_of(const RunResult& result, const StoppableReporter& reporter,
                  const std::string& measure) {
  const double* value = find_measure(result.last.measures, measure);
  if (value == nullptr && result.epoch == 0)
    value = find_measure(reporter.last_step().measures, measure);
  return value == nullptr ? Results(nullptr) : number_or_null(*value);
}

std::string tell_sharing(const JoinedRanks& joined, const RunRanks& ranks, const SharedStep& step) {
  if (ranks.alone()) return {};
  std::string line = sharing_line(ranks, step);
  std::cerr << printable(line) << '\n';
  if (!joined.cores.note.empty()) std::cerr << "note     " << joined.cores.note << '\n';
  return line;
}

void add_rank_results(Results& results, const RunConfig& run, std::int64_t groups) {
  results["ranks"] = run.ranks.communicator->ranks().size;
  results["bn_groups"] = groups;
}

void agree_on_run(const JoinedRanks& ranks, const RunConfig& run, Device device,
                  const std::vector<IdentityEntry>& facts) {
  if (ranks.control == nullptr) return;
  std::vector<std::pair<std::string, std::string>> all;
  for (const IdentityEntry& entry : run.identity.entries) all.emplace_back(entry.name, entry.value);
  for (const IdentityEntry& fact : facts) all.emplace_back(fact.name, fact.value);
  const auto conditions = computing_conditions(device);
  for (const char* const name : {"build", "threads"}) all.emplace_back(name, conditions.at(name));
  ranks.control->agree(all);
}

Results train_on_ranks(const RankOptions& ranks, const Options& options, const std::string& out,
                       const std::function<Results(const JoinedRanks&)>& train) {
  start_ranks(ranks, options);
  Results results;
  on_ranks(ranks, std::filesystem::path(out) / "ranks", [&](JoinedRanks& joined) {
    // A large data set is opened: the others wait.
    if (joined.control != nullptr) joined.control->entering("the start", 0, true);
    results = train(joined);
  });
  return results;
}

Results silent_end() {
  check_stop();
  return {};
}

}  // namespace invp::cli
