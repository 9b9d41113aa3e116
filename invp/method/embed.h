// Features of a whole data set: for `invp extract`, for the queries of kNN, and for a bank that
// starts from features.
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

/// Which activations: the head's, the pooled backbone's, or those of a tap, averaged to one value
/// per channel.
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
  std::vector<std::int64_t> indices;  ///< positions in the data set, without unreadable images
  std::vector<BadImage> bad = {};     ///< those
  std::vector<std::int64_t> bad_indices = {};
};

struct EmbedConfig {
  AugmentConfig pipeline;  ///< a deterministic one
  FeatureLayer layer;
  int batch_size = 128;
  int workers = 1;
  double max_bad_share = 0.01;          ///< of the data set that may be unreadable
  bool may_be_empty = false;            ///< no image at all need be readable
  int turns = 1, turn = 0;              ///< whose batches: LoaderOptions::turns
  std::optional<AugmentOn> augment_on;  ///< unset: the default of the network's device
};

/// Runs the network in evaluation mode over the data set, or its turn of it, on the network's
/// device, and restores its mode. The features are on the host. Throws Error if no image can be
/// read, or fewer than max_bad_share leaves.
Features embed(ResNet& network, const Dataset& dataset, const EmbedConfig& config,
               const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace invp
