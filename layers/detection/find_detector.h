// The Faster R-CNN R50-C4 among the tensors of a file: a checkpoint of ours or detectron2's.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/files/tensor_source.h"
#include "layers/find_network.h"
#include "layers/resnet_shapes.h"

namespace invp {

struct FoundDetector {
  FoundNetwork backbone;
  int classes = 0;                       ///< without the background
  std::vector<std::string> class_names;  ///< so many, or none where the file does not say
  TakenTensors tensors;                  ///< all of it, under our names
};

/// Our name and the shape, in PyTorch's layout, of everything that a detector has besides its
/// backbone, of this width and so many classes; without counts of batches.
std::vector<NamedShape> detector_shapes(std::int64_t width, std::int64_t classes);

/// Does the file hold a detector, whole or not, beside a network?
bool holds_detector(const TensorSource& source);

/// The detector of the file; `prefix` as in choose_network. Throws Error naming the file and what
/// is missing or of another shape: a backbone alone, other networks than ResNet-50, feature
/// pyramids, norms that are frozen or no batch norms, a head without the norm after its last stage.
FoundDetector choose_detector(const TensorSource& source, const std::string& prefix);

/// Its tensors under our names, as read_network gives them.
TensorFile read_detector(const TensorSource& source, const FoundDetector& detector);

/// "Faster R-CNN R50-C4 of width 64 for 20 classes"
std::string describe(const FoundDetector& detector);

/// Where a file says its classes, as metadata: a JSON array of names, in their order.
inline constexpr const char* kDetectorClasses = "classes";

}  // namespace invp
