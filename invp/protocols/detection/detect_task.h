// A step, the precise norms and an evaluation of a detector's training (detect.h).
#pragma once

#include <string>
#include <vector>

#include "invp/protocols/detection/detect.h"
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
  TensorFile state() const override;
  void load_state(const TensorFile& state, const std::string& origin) override;

 private:
  Tensor losses_with_gradients(const Batch& batch, const Progress& progress) override;

  const DetectConfig& config_;
  FasterRcnn& detector_;
  const DetectionSet& train_;
  const DetectionSet* test_;
};

}  // namespace invp
