// The protocols of layer-wise linear classification, as the paper and its supplement state them.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "invp/protocols/linear/linear.h"

namespace invp {

enum class LinearProtocol {
  kImagenet,
  kPlaces205,
  kVoc07,
  kCifar,  ///< CIFAR-10, CIFAR-100, SVHN, whose networks see 32 x 32 pixels (the released code)
};
/// "imagenet", "places205", "voc07", "cifar", for the command line.
const std::vector<std::pair<std::string, LinearProtocol>>& all_linear_protocols();

/// The protocol for a set of this kind (Dataset::kind): imagenet for all that have none of their
/// own.
LinearProtocol linear_protocol_for(const std::string& kind);

struct LinearDefaults {
  bool last_tap_only = false;
  const char* augment = "train-224";  ///< augment_preset
  int image_size = 224;
  /// Pooling, initialisation, learning rate and schedule; of a data set's kind.
  LinearConfig config;
};
LinearDefaults linear_defaults(LinearProtocol protocol, const std::string& kind);

/// A pipeline by the name of its augment_preset, or "none", as the protocol evaluates, for images
/// of this size.
AugmentConfig linear_pipeline(LinearProtocol protocol, const std::string& name, int image_size);

}  // namespace invp
