// A detector or a backbone in the form that detectron2 begins from.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "engine/files/tensor_source.h"

namespace invp {

struct Detectron2Weights {
  /// Under detectron2's names, f32, each norm with its count of batches (i64). Of a backbone the
  /// names are those of MoCo's converter, which detectron2 matches by their ends.
  std::vector<std::pair<std::string, Tensor>> tensors;
  std::vector<std::string> classes;  ///< their names; empty where the file does not say
  std::string what;                  ///< "Faster R-CNN R50-C4 of width 64 for 20 classes"
};

/// The detector of the file, or else its network, without its head. `prefix` as in choose_network.
/// Throws Error as choose_detector and choose_network do, and for networks with the stem for small
/// pictures, which detectron2 does not have.
Detectron2Weights to_detectron2(const TensorSource& source, const std::string& prefix);

/// Writes {"model": tensors, "__author__", "matching_heuristics", "classes"} as a pickle of numpy
/// arrays (.pkl) or as torch.save does (.pth, .pt), or the tensors as safetensors, by the end of
/// the path.
void write_detectron2(const std::filesystem::path& path, const Detectron2Weights& weights);

}  // namespace invp
