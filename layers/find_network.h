// The ResNets among the tensors of a file: whatever stands before their names and beside them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/tensor_source.h"
#include "layers/resnet.h"

namespace invp {

/// How a file names the parts of a network.
enum class Naming : std::uint8_t {
  kTorchvision,
  kSequential,          ///< by their places in an nn.Sequential: "0.weight", "4.0.conv1.weight"
  kDetectron2,          ///< "stem.conv1.weight", "res2.0.conv1.weight"
  kDetectron2Detector,  ///< the same with "backbone." before them, but "roi_heads." before "res5."
};

/// Torchvision's name of each tensor, and its place in the file's list.
using TakenTensors = std::vector<std::pair<std::string, std::size_t>>;

struct FoundNetwork {
  std::string prefix;  ///< before the network's own names: "state_dict.module.encoder_q."
  Naming naming = Naming::kTorchvision;
  NetworkConfig config;
  bool head = false;     ///< it has one that the engine builds: "fc", or "fc.0" and "fc.2"
  TakenTensors tensors;  ///< counts of batches are among them
  /// What was passed over for it, for a line to the user; empty if nothing was.
  std::string instead_of;
};

/// Every network that is there as a whole: exactly the tensors of one of our architectures, in
/// their shapes and of float types, named in one of these ways; "shortcut" may stand for
/// "downsample". `misses` gets a sentence for each that nearly is.
std::vector<FoundNetwork> find_networks(std::span<const StoredTensor> tensors,
                                        std::vector<std::string>* misses = nullptr);

/// The network of the file. Of a network and its moving average as known projects name them, the
/// one that these projects evaluate is taken; of equal ones the first. `prefix`, if not empty,
/// names one, or the end of its prefix. Throws Error naming the file: when no network is there,
/// with what is; when several are, with their prefixes; when it wants other pictures than RGB of
/// the usual normalization.
FoundNetwork choose_network(const TensorSource& source, const std::string& prefix);
/// The same, of some of its networks, at least one.
FoundNetwork choose_among(const TensorSource& source, std::vector<FoundNetwork> networks,
                          const std::string& prefix);

/// Its tensors under torchvision's names, f32, on the host; without `with_head` those of the head
/// are neither read nor there. Throws Error naming file and tensor for values that are not finite,
/// and for a network larger than the file.
TensorFile read_network(const TensorSource& source, const FoundNetwork& network, bool with_head);
/// The same of any tensors; `what` they are is for the message of too many.
TensorFile read_taken(const TensorSource& source, const TakenTensors& taken,
                      const std::string& what);

/// What the file calls a tensor of torchvision's name, without the prefix.
std::string name_in_file(Naming naming, const std::string& name);

/// The weights of the network in a file, whatever it is: a checkpoint of ours, a safetensors file
/// or a PyTorch one.
TensorFile load_network_weights(const std::filesystem::path& path, const std::string& prefix = {},
                                bool with_head = true);

/// "resnet18 of width 64 with a linear head of 128"
std::string describe(const FoundNetwork& network);

}  // namespace invp
