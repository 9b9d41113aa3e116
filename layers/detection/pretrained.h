// Weights of others that a detector begins with: what was taken, what was not, what stays as it was
// initialized. Nothing is left out in silence.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/files/tensor_file.h"
#include "layers/detection/find_detector.h"

namespace invp {

/// Names of tensors, those of the file as they are in it.
struct WeightLists {
  std::vector<std::string> loaded;
  std::vector<std::string> ignored;      ///< in the file, but of no use
  std::vector<std::string> initialized;  ///< of the detector, but not in the file; our names

  /// A line for each list that is not empty: "4 ignored: stem.fc.weight, ...".
  std::vector<std::string> lines() const;
};

struct BackboneWeights {
  FoundNetwork network;
  TensorFile tensors;  ///< torchvision's names, f32, on the host; no head
  WeightLists lists;
};

/// The ResNet-50 of a checkpoint of ours, MoCo, InvP, torchvision or detectron2 (.pth, .pkl), all
/// of it: trunk and last stage. `prefix` as in choose_network. Throws Error naming the file and the
/// first tensor that is missing or of another shape, and for other architectures.
BackboneWeights load_backbone(const std::filesystem::path& path, const std::string& prefix = {});

struct DetectorWeights {
  FoundDetector detector;
  TensorFile tensors;  ///< our names, f32, on the host
  WeightLists lists;
};

/// A whole detector, of ours or detectron2's. Throws as choose_detector does.
DetectorWeights load_detector(const std::filesystem::path& path, const std::string& prefix = {});

}  // namespace invp
