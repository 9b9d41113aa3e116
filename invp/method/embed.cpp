#include "invp/method/embed.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include "data/load/batch_feed.h"
#include "engine/autograd/node.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/reshape.h"
#include "engine/ops/pool/avg_pool2d.h"

namespace invp {

FeatureLayer parse_feature_layer(const std::string& name, const ResNet& network) {
  if (name == "head") return {FeatureLayer::kHead};
  if (name == "pool") return {FeatureLayer::kPool};
  constexpr std::string_view kBlock = "block";
  int tap = 0;
  if (name.starts_with(kBlock))
    std::from_chars(name.data() + kBlock.size(), name.data() + name.size(), tap);
  CHECK(tap >= 1 && tap <= network.tap_count() && name == message(kBlock, tap), "no layer '", name,
        "': use head, pool or block1 to block", network.tap_count());
  return {tap};
}

namespace {

Tensor forward_to(ResNet& network, FeatureLayer layer, const Tensor& images) {
  if (layer.tap == FeatureLayer::kHead) return l2_normalize(network.forward(images));
  if (layer.tap == FeatureLayer::kPool) return network.features(images);
  Tensor features;
  network.taps(images, layer.tap, [&](int tap, const Tensor& output) {
    if (tap == layer.tap) features = cast(flatten(adaptive_avg_pool2d(output, 1, 1)), DType::kF32);
  });
  return features;
}

}  // namespace

Features embed(ResNet& network, const Dataset& dataset, const EmbedConfig& config,
               const std::function<void(std::int64_t done, std::int64_t total)>& progress) {
  const NoGrad no_grad;
  const bool was_training = network.training();
  network.train(false);
  const Device device = network.parameters().front().tensor.device();
  BatchFeed loader(dataset, config.pipeline,
                   {.batch_size = config.batch_size,
                    .workers = config.workers,
                    .shuffle = false,
                    .max_bad_share = config.max_bad_share,
                    .augment_on = config.augment_on.value_or(best_augment_on(device)),
                    .turns = config.turns,
                    .turn = config.turn},
                   device);
  loader.start_epoch(0);
  Features result;
  std::vector<float> values;
  std::int64_t dim = 0;
  while (const std::optional<Batch> batch = loader.next()) {
    const Tensor features = forward_to(network, config.layer, batch->images).to(kCpu);
    dim = features.dim(1);
    values.insert(values.end(), features.span<float>().begin(), features.span<float>().end());
    result.labels.insert(result.labels.end(), batch->labels.begin(), batch->labels.end());
    result.indices.insert(result.indices.end(), batch->indices.begin(), batch->indices.end());
    progress(std::min(std::ssize(result.indices) * config.turns, dataset.size()), dataset.size());
  }
  network.train(was_training);
  result.bad = loader.bad_images();
  for (const BadPlace& place : loader.bad_places()) result.bad_indices.push_back(place.index);
  if (config.may_be_empty && result.indices.empty()) return result;
  CHECK(!result.indices.empty(), "no image of ", dataset.kind(), " could be read");
  result.features = Tensor::from(values, {std::ssize(result.indices), dim});
  return result;
}

}  // namespace invp
