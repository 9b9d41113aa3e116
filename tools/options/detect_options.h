// Every option of training a detector, and what they give.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "invp/protocols/detection/detect.h"
#include "tools/options/device_options.h"
#include "tools/options/rank_options.h"
#include "tools/options/run_options.h"

namespace invp::cli {

/// Where pictures with boxes are, for all commands of detection.
struct BoxDataOptions {
  std::string path;
  std::string format = "auto";
  int workers = 0;
  std::int64_t max_pixels = default_max_pixels();

  /// Applies --max-pixels. Faults as open_boxes.
  DetectionSet open(const std::string& split) const;
  /// What --test-split asks for: "auto" is test, else val. Empty: there is nothing to judge by.
  std::string judging_split(const std::string& asked) const;
};

class DetectOptions {
 public:
  void declare(Options& options);
  /// Sets threads and numerics, and fits the schedule to --batch-size. Throws UsageError for
  /// options that do not go together.
  void resolve(const Options& options, const JoinedRanks& ranks);
  /// The detector to start from, on its device, for the set's classes.
  std::unique_ptr<FasterRcnn> detector(const DetectionSet& set);
  /// Takes the settings of the run, once all others stand.
  void finish(const Options& options);

  DetectConfig& config() { return config_; }
  const RankOptions& ranks() const { return ranks_; }
  const std::string& out() const { return run_.out; }
  const Compute& compute() const { return compute_; }
  const BoxDataOptions& data() const { return data_; }
  const std::string& split() const { return split_; }
  const std::string& test_split() const { return test_split_; }
  bool from_scratch() const { return from_scratch_; }
  const std::string& checkpoint() const { return checkpoint_; }
  /// For the run's first lines: how the schedule was fitted, what was loaded.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  void declare_start(Options& options);
  void declare_schedule(Options& options);
  void declare_pictures(Options& options);
  void declare_detector(Options& options);
  void fit_schedule(const Options& options);

  DetectConfig config_;
  DetectorConfig network_;
  std::string checkpoint_, weights_prefix_;
  bool from_scratch_ = false;
  std::int64_t batch_size_ = 4, schedule_pictures_ = 4;
  std::int64_t bn_groups_ = 4;
  DType wire_ = DType::kF32;
  std::vector<std::int64_t> min_sizes_, drops_;
  BoxDataOptions data_;
  std::string split_ = "train", test_split_ = "auto";
  DeviceOptions device_;
  RankOptions ranks_;
  RunOptions run_{.out = "runs/detect", .resume = {}};
  Compute compute_;
  std::vector<std::string> notes_;
};

/// --data, --format, --workers, --max-pixels.
void declare_box_data(Options& options, BoxDataOptions& data);

}  // namespace invp::cli
