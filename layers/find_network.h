// The ResNets among the tensors of a file: whatever stands before their names and beside them.
#pragma once

#include <cstddef>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/tensor_source.h"
#include "layers/resnet.h"

namespace invp {

struct FoundNetwork {
  std::string prefix;  ///< before the network's own names: "state_dict.module.encoder_q."
  NetworkConfig config;
  bool head = false;  ///< it has one that the engine builds: "fc", or "fc.0" and "fc.2"
  /// Torchvision's name of each tensor, and its place in the file's list. Counts of batches are
  /// among them.
  std::vector<std::pair<std::string, std::size_t>> tensors;
  /// What was passed over for it, for a line to the user; empty if nothing was.
  std::string instead_of;
};

/// Every network that is there as a whole: exactly the tensors of one of our architectures, in
/// their shapes and of float types, named as torchvision does, or as two habits have it: by their
/// place in an nn.Sequential ("0.weight", "4.0.conv1.weight"), and with "shortcut" for
/// "downsample". `misses` gets a sentence for each that nearly is.
std::vector<FoundNetwork> find_networks(std::span<const StoredTensor> tensors,
                                        std::vector<std::string>* misses = nullptr);

/// The network of the file. Of a network and its moving average as known projects name them, the
/// one that these projects evaluate is taken; of equal ones the first. `prefix`, if not empty,
/// names one, or the end of its prefix. Throws Error naming the file: when no network is there,
/// with what is; when several are, with their prefixes.
FoundNetwork choose_network(const TensorSource& source, const std::string& prefix);

/// Its tensors under torchvision's names, f32, on the host; without `with_head` those of the head
/// are neither read nor there. Throws Error naming file and tensor for values that are not finite,
/// and for a network larger than the file.
TensorFile read_network(const TensorSource& source, const FoundNetwork& network, bool with_head);

/// The weights of the network in a file, whatever it is: a checkpoint of ours, a safetensors file
/// or a PyTorch one.
TensorFile load_network_weights(const std::filesystem::path& path, const std::string& prefix = {},
                                bool with_head = true);

/// "resnet18 of width 64 with a linear head of 128"
std::string describe(const FoundNetwork& network);

}  // namespace invp
