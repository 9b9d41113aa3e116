// What a long run tells while it works, and the one thing it asks: whether to stop. A trainer calls
// these and knows nothing of terminals or files; report/run_reporter.h turns them into progress,
// metrics, TensorBoard files and curves.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace invp {

/// A number with the name it has in metrics.jsonl: "top1", "loss_tap17".
struct Measure {
  std::string name;
  double value = 0;
};

/// Where a measure stands among an epoch's other fields in metrics.jsonl.
enum class MeasurePlace : std::uint8_t { kAfterLoss, kAfterRate, kLast };

/// How the table of epochs and the curves show a measure; measures.h has the known ones.
struct ShownMeasure {
  std::string name;                ///< of the Measure
  std::string heading;             ///< of its column, at most 7 wide; empty: no column
  std::string title = {};          ///< of a chart of its own: "Instance loss"
  std::string chart = "Accuracy";  ///< the chart that it shares with others; "Loss": no percentage
  std::string legend = {};         ///< its name in that chart; empty: the heading
  bool in_curves = true;           ///< whether curves.svg has it
  MeasurePlace place = MeasurePlace::kLast;
};

/// Known before the first step. Epochs and steps count from 1.
struct RunPlan {
  std::int64_t epochs = 0;       ///< number of the last epoch
  std::int64_t first_epoch = 1;  ///< later than 1 when resumed
  std::int64_t first_step = 1;   ///< within the first epoch; later than 1 when resumed inside one
  std::int64_t steps_per_epoch = 0;
  std::int64_t images_per_epoch = 0;
  std::int64_t steps = 0;           ///< of a run that is told in steps: of the whole run. Else 0
  std::vector<ShownMeasure> shown;  ///< in the order of the columns; curves.svg gives the best
                                    ///< value of the first percentage
};

struct StepReport {
  std::int64_t epoch = 0;
  std::int64_t step = 0;         ///< within the epoch
  std::int64_t global_step = 0;  ///< since the start of the run, resumed parts included
  std::int64_t images = 0;       ///< in this step's batch
  double loss = 0;
  double learning_rate = 0;
  double data_wait = 0;  ///< share of the epoch's time so far spent waiting for images, 0..1
  std::vector<Measure> measures;  ///< parts of the loss
};

struct EpochReport {
  std::int64_t epoch = 0;
  std::int64_t global_step = 0;
  double loss = 0;  ///< mean over the epoch's images
  double learning_rate = 0;
  double seconds = 0;            ///< training alone, without evaluation
  double images_per_second = 0;  ///< training alone
  double data_wait = 0;          ///< share of that time spent waiting for images, 0..1
  std::int64_t peak_memory_bytes = 0;
  std::int64_t skipped_images = 0;  ///< unreadable images met so far
  std::vector<Measure> measures;    ///< parts of the loss (means over images), accuracies; only
                                    ///< those that were measured
};

/// Null when there is none of that name.
inline const double* find_measure(const std::vector<Measure>& measures, const std::string& name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return &measure.value;
  }
  return nullptr;
}

/// NaN when there is none of that name.
inline double measure_or_nan(const std::vector<Measure>& measures, const std::string& name) {
  const double* const value = find_measure(measures, name);
  return value != nullptr ? *value : std::numeric_limits<double>::quiet_NaN();
}

class RunObserver {
 public:
  virtual ~RunObserver() = default;
  virtual void run_started(const RunPlan&) {}
  virtual void step_finished(const StepReport&) {}
  /// Work that is not a training step: "kNN", "features". Called with done from 0 to total, as
  /// often as convenient.
  virtual void phase_progress(const char* /*phase*/, std::int64_t /*done*/,
                              std::int64_t /*total*/) {}
  virtual void epoch_finished(const EpochReport&) {}
  virtual void checkpoint_written(const std::string& /*path*/) {}
  /// One line for the person and the log: what was resumed from, which images were skipped, why a
  /// run stops.
  virtual void note(const std::string& /*line*/) {}
  /// Asked between steps, beside the token of engine/core/stop.h. True makes the run write a
  /// checkpoint and return as unfinished.
  virtual bool stop_requested() const { return false; }
};

/// Of a process that does not speak, but may be asked to stop.
class SilentObserver final : public RunObserver {
 public:
  explicit SilentObserver(const RunObserver& asked) : asked_(asked) {}
  bool stop_requested() const override { return asked_.stop_requested(); }

 private:
  const RunObserver& asked_;
};

}  // namespace invp
