#include "tools/options/evaluated_network.h"

#include <iostream>

#include "data/sets/bad_images.h"
#include "engine/core/text.h"
#include "invp/report/text/progress.h"
#include "tools/options/augment_options.h"

namespace invp::cli {

namespace {

FeatureLayer parsed_layer(const std::string& name, const ResNet& network) {
  try {
    return parse_feature_layer(name, network);
  } catch (const Error& error) {
    throw UsageError(message("--layer: ", error.what()));
  }
}

/// The deterministic pipeline: what was asked for, else that of the run, else what is usual.
AugmentConfig pipeline_of(const CheckpointOptions& options, const CheckpointRun& run, Arch arch) {
  const bool told = options.augment != "auto";
  AugmentConfig training = augment_preset(told             ? options.augment
                                          : is_cifar(arch) ? "cifar"
                                                           : "imagenet");
  if (!told) run.apply(training);
  if (options.image_size > 0) training = AugmentOptions::resized(training, options.image_size);
  return AugmentOptions::evaluation(training);
}

}  // namespace

EvaluatedNetwork::EvaluatedNetwork(const CheckpointOptions& options, const std::string& layer,
                                   const Compute& compute)
    : options_(options),
      layer_name_(layer != "auto"     ? layer
                  : has_head(options) ? "head"
                                      : "pool"),
      run_(read_checkpoint_run(options.checkpoint)),
      network_(load_network(options, layer_name_ == "head")),
      layer_(parsed_layer(layer_name_, *network_)),
      pipeline_(pipeline_of(options, run_, network_->config().arch)) {
  network_->set_compute_type(compute.type);
  network_->to(compute.device);
}

std::string EvaluatedNetwork::layer_text() const {
  if (layer_.tap != FeatureLayer::kHead) return layer_name_;
  const int values = network_->config().dim;
  return run_.command == "invp finetune"
             ? message("head, the outputs of its classifier for ", values, " classes")
             : message("head, an embedding of ", values, " values");
}

std::string EvaluatedNetwork::source_of_images() const {
  if (options_.augment != "auto") return "as told";
  std::string source = run_.normalization ? "as its run had them"
                       : run_.image_size  ? "of the size that its run had"
                                          : "as usual for it; --image-size and --augment change it";
  if (options_.image_size > 0) source = run_.normalization ? "of the size told" : "as told";
  return source;
}

std::string EvaluatedNetwork::lines() const {
  const NetworkConfig& config = network_->config();
  return printable(message("network  ", options_.checkpoint, ": ", name_of(config.arch), ", width ",
                           config.width, "; layer ", layer_text())) +
         message("\nimages   ", described_images(pipeline_), ", ", source_of_images());
}

Features EvaluatedNetwork::features(const Dataset& dataset, int workers, const std::string& label) {
  Features features;
  {
    ProgressBar bar(label);
    features = embed(*network_, dataset,
                     {.pipeline = pipeline_,
                      .layer = layer_,
                      .batch_size = options_.batch_size,
                      .workers = workers,
                      .max_bad_share = options_.max_bad_share},
                     [&](std::int64_t done, std::int64_t total) { bar.show(done, total); });
  }
  if (!features.bad.empty())
    std::cerr << printable(left_out_line(features.bad, dataset.size(), label)) << '\n';
  return features;
}

std::string counted_of(std::int64_t used, std::int64_t all) {
  return used == all ? message(all) : message(used, " of ", all);
}

}  // namespace invp::cli
