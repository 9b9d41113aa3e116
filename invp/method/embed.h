// Features of a whole data set: what `invp extract` writes, what kNN asks about, what the bank may
// start from.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"
#include "data/sets/dataset.h"
#include "layers/resnet.h"

namespace invp {

/// Which activations: a tap of the network (average-pooled to one value a channel), or one of two
/// named ones.
struct FeatureLayer {
  static constexpr int kHead = 0;   ///< the head's embedding, L2-normalised
  static constexpr int kPool = -1;  ///< the pooled backbone
  int tap = kHead;
};

/// "head", "pool", "block1".."block17". Throws Error naming the choices.
FeatureLayer parse_feature_layer(const std::string& name, const ResNet& network);

struct Features {
  Tensor features;                    ///< (n, d) f32, in the order of `indices`
  std::vector<std::int64_t> labels;   ///< -1 where unknown
  std::vector<std::int64_t> indices;  ///< positions in the data set; broken images are left out
};

struct EmbedConfig {
  AugmentConfig pipeline;  ///< a deterministic one
  FeatureLayer layer;
  int batch_size = 128;
  int workers = 1;
  std::optional<AugmentOn> augment_on;  ///< unset: as suits the network's device
};

/// Runs the network in evaluation mode (and leaves it in the mode it was in) over the whole data
/// set, on the network's device. The features are on the host.
Features embed(ResNet& network, const Dataset& dataset, const EmbedConfig& config,
               const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace invp
