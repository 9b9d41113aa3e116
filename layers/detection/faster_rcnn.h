// Faster R-CNN R50-C4 (Ren et al. 2015; supplement, B.5): a ResNet-50 cut before its last stage, a
// region proposal network on res4, and the last stage with an extra batch norm on each region.
// Names of tensors are torchvision's for all that belongs to the ResNet, so that other commands
// find it in a detector's checkpoint.
#pragma once

#include <array>
#include <memory>
#include <vector>

#include "layers/detection/region_features.h"
#include "layers/detection/regions.h"
#include "layers/detection/rpn.h"

namespace invp {

/// The four losses of a step, f32 scalars, each a mean over groups, and what else it tells. Groups
/// are those of all ranks that share the norms (GroupNorms::ranks).
struct DetectionLosses {
  Tensor objectness, rpn_boxes, classes, boxes;
  Tensor total;  ///< in the graph: the sum over this process's groups of the sum of the four
  RegionCounts counts;
};

struct FoundObject {
  std::array<float, 4> box;  ///< x0 y0 x1 y1
  std::int32_t label;
  float score;
};

class FasterRcnn : public Module {
 public:
  explicit FasterRcnn(const DetectorConfig& config);

  /// Features of res4.
  MapGroups features(const MapGroups& images);

  /// A training step's losses. The samples are a function of `address`. Collective where ranks
  /// share the norms.
  DetectionLosses losses(const DetectorInput& input, const SampleAddress& address,
                         const Sampler& sampler = sample_labels);
  /// Backward from total: of the gradients of the mean over groups, of which there are so many on
  /// all ranks, this process's part.
  static void backward(DetectionLosses losses, std::size_t groups);

  /// The parts of losses(), for those who choose the regions themselves.
  std::array<Tensor, 2> region_losses(const MapGroups& features, const Regions& regions);
  RegionFeatures& region_features() { return regions_; }
  Rpn& rpn() { return rpn_; }

  struct Prediction {
    Tensor logits;  ///< (R, classes + 1) f32; the last one is background
    Tensor deltas;  ///< (R, 4 classes) f32
  };
  Prediction predict(const MapGroups& features, const GroupBoxes& boxes);

  /// The objects of one picture, best score first. `input` has one group of one picture; boxes are
  /// in its pixels. In evaluation mode.
  std::vector<FoundObject> detect(const DetectorInput& input);

  const DetectorConfig& config() const { return config_; }
  Device device() const { return stem_.conv().weight().device(); }
  /// Every batch norm, in the order of the network.
  std::vector<BatchNorm2d*> norms();
  /// How many batches have moved the running statistics (num_batches_tracked).
  std::int64_t batches_tracked() const { return batches_tracked_; }
  void set_batches_tracked(std::int64_t count) { batches_tracked_ = count; }
  void set_compute_type(DType dtype) { compute_type_ = dtype; }

 private:
  std::vector<FoundObject> chosen(const Prediction& prediction, const Tensor& proposals,
                                  float height, float width) const;

  DetectorConfig config_;
  DType compute_type_ = DType::kF32;
  std::int64_t batches_tracked_ = 0;
  Initializer init_;
  ConvNorm stem_;
  std::vector<std::unique_ptr<Bottleneck>> trunk_;
  std::int64_t channels_;  ///< of res4
  RegionFeatures regions_;
  Rpn rpn_;
  GroupLinear classes_, deltas_;
};

/// Boxes of a picture that was resized from `view` to its own size: scaled, clipped, those without
/// area dropped.
std::vector<FoundObject> at_original_size(const std::vector<FoundObject>& objects,
                                          std::array<std::int64_t, 2> view,
                                          std::array<std::int64_t, 2> original);

}  // namespace invp
