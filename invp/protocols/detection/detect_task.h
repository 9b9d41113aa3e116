// A step, the precise norms and an evaluation of a detector's training (detect.h).
#pragma once

#include <string>
#include <vector>

#include "invp/protocols/detection/detect.h"
#include "invp/protocols/detection/usual_precision.h"
#include "invp/run/identity.h"
#include "invp/run/sgd_task.h"

namespace invp {

/// Names and sizes of pictures with all their boxes, as one number.
IdentityEntry training_boxes(const DetectionSet& set);
/// A checkpoint says what its detector finds (find_detector.h), and at which size it looks.
Metadata detector_facts(const DetectionSet& set, const DetectConfig& config);

/// "800,1333": short edge and longest side, as metadata.
inline constexpr const char* kTestSize = "detector.test_size";

class DetectTask final : public SgdTask {
 public:
  /// All live longer; test may be null.
  DetectTask(const DetectConfig& config, FasterRcnn& detector, const DetectionSet& train,
             const DetectionSet* test);

  /// The sum, its four parts, and in per cent the share of foreground among the regions and of the
  /// objects that were proposed.
  std::vector<std::string> loss_names() const override;
  void finish_training(const PhaseProgress& progress) override;
  /// "ap", "ap50", "ap75", per cent, by the set's own rule.
  Evaluation evaluate(const PhaseProgress& progress) override;
  std::vector<Measure> after_epoch() override;
  TensorFile state() const override;
  void load_state(const TensorFile& state, const std::string& origin) override;

 private:
  Communicator& ranks() const { return *config_.run.ranks.communicator; }
  GroupNorms norms(float momentum) const;
  SampleAddress samples(std::uint64_t seed, std::int64_t step) const;
  AveragePrecision judged(const Detections& detections) const;
  Tensor losses_with_gradients(const Batch& batch, const Progress& progress) override;

  const DetectConfig& config_;
  FasterRcnn& detector_;
  const DetectionSet& train_;
  const DetectionSet* test_;
  const std::vector<Tensor> learning_;  ///< what gets gradients
};

}  // namespace invp
