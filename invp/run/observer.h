// What a long run tells while it works, and the one thing it asks: whether to stop. A trainer calls
// these and knows nothing of terminals or files; report/run_reporter.h turns them into progress,
// metrics, TensorBoard files and curves.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace invp {

/// A number with the name it has in metrics.jsonl: "top1", "loss_tap17".
struct Measure {
  std::string name;
  double value = 0;
};

/// A measure, in per cent, that stands in the table of epochs and among the curves.
struct ShownMeasure {
  std::string name;     ///< of the Measure
  std::string heading;  ///< at most 7 columns: "top-1"
};

/// Known before the first step. Epochs and steps count from 1.
struct RunPlan {
  std::int64_t epochs = 0;       ///< number of the last epoch
  std::int64_t first_epoch = 1;  ///< later than 1 when resumed
  std::int64_t first_step = 1;   ///< within the first epoch; later than 1 when resumed inside one
  std::int64_t steps_per_epoch = 0;
  std::int64_t images_per_epoch = 0;
  std::vector<ShownMeasure> shown;  ///< empty: pretraining, with its losses and kNN
};

struct StepReport {
  std::int64_t epoch = 0;
  std::int64_t step = 0;         ///< within the epoch
  std::int64_t global_step = 0;  ///< since the start of the run, resumed parts included
  std::int64_t images = 0;       ///< in this step's batch
  double loss = 0;
  std::optional<double> loss_ins;  ///< of pretraining, like loss_inv
  std::optional<double> loss_inv;
  double learning_rate = 0;
  double data_wait = 0;  ///< share of the epoch's time so far spent waiting for images, 0..1
  std::vector<Measure> measures;  ///< whatever else there is to tell
};

struct EpochReport {
  std::int64_t epoch = 0;
  std::int64_t global_step = 0;
  double loss = 0;  ///< means over the epoch's images
  std::optional<double> loss_ins;
  std::optional<double> loss_inv;
  double learning_rate = 0;
  std::optional<double>
      knn_top1;  ///< per cent; absent where the data has no labelled validation split
  std::optional<double> knn_top5;
  std::optional<double> positive_purity;       ///< per cent of N(i) of i's class (purity.h); absent
                                               ///< where labels are
  std::optional<double> hard_positive_purity;  ///< the same of N^h(i)
  double seconds = 0;                          ///< training alone, without the kNN evaluation
  double images_per_second = 0;                ///< training alone
  double data_wait = 0;  ///< share of that time spent waiting for images, 0..1
  std::int64_t peak_memory_bytes = 0;
  std::int64_t skipped_images = 0;  ///< unreadable images met so far
  std::vector<Measure> measures;    ///< whatever else there is to tell: further losses, accuracies
};

/// Null when there is none of that name.
inline const double* find_measure(const std::vector<Measure>& measures, const std::string& name) {
  for (const Measure& measure : measures) {
    if (measure.name == name) return &measure.value;
  }
  return nullptr;
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
  /// Asked between steps. True makes the run write a checkpoint and return as unfinished.
  virtual bool stop_requested() const { return false; }
};

}  // namespace invp
