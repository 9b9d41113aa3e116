#include "tools/options/checkpoint_network.h"

#include <iostream>
#include <set>

#include "engine/core/text.h"
#include "engine/files/weights.h"
#include "invp/run/run_metadata.h"
#include "layers/exchange.h"
#include "layers/find_network.h"
#include "tools/options/network_options.h"

namespace invp::cli {

void declare_checkpoint(Options& options, CheckpointOptions& checkpoint) {
  options.group("Network");
  options
      .text("checkpoint", checkpoint.checkpoint, "FILE",
            "the network: a run's checkpoint, or weights in .safetensors or .pth")
      .required();
  declare_evaluation(options, checkpoint);
}

Options& declare_weights_prefix(Options& options, std::string& prefix) {
  return options.text("weights-prefix", prefix, "NAME.",
                      "which network, where the file holds several: what stands before its names");
}

void declare_evaluation(Options& options, CheckpointOptions& checkpoint) {
  declare_weights_prefix(options, checkpoint.weights_prefix);
  declare_expected_arch(options, checkpoint.arch, "expected backbone; auto: that of the weights");
  options.choice(
      "augment", checkpoint.augment, {"auto", "imagenet", "imagenet-noblur", "cifar", "none"},
      "training settings whose image size and normalization are used; auto: those of the "
      "run that wrote the checkpoint; of other files cifar for backbones named so, else "
      "imagenet");
  options.integer("image-size", checkpoint.image_size, {0, 4096},
                  "height and width of the network's input, in pixels; 0: see --augment");
  options.integer("batch-size", checkpoint.batch_size, {1, 65536}, "images at a time");
  options.number("max-bad-share", checkpoint.max_bad_share, kProbability,
                 "share of unreadable images above which the command fails; the others are left "
                 "out");
}

namespace {

/// Says which network was taken, unless nothing stands before the names or the file is our own.
void say_which(const TensorSource& source, const FoundNetwork& network) {
  if (network.prefix.empty() || !checkpoint_kind(source.metadata()).empty()) return;
  const std::string others = network.instead_of.empty() ? "" : ", not " + network.instead_of;
  std::cerr << printable(message(source.path(), ": ", describe(network), ", under \"",
                                 network.prefix, '"', others))
            << '\n';
}

}  // namespace

void tell_unproven(const std::string& path, bool has_checksums) {
  static std::set<std::string> told;
  if (has_checksums || !told.insert(path).second) return;
  std::cerr << printable(path + ": has no checksums, so that damage to it would not be seen")
            << '\n';
}

std::unique_ptr<TensorSource> open_told(const std::string& path) {
  std::unique_ptr<TensorSource> source = open_weights(path);
  tell_unproven(path, source->has_checksums());
  return source;
}

NetworkWeights load_weights_of(const CheckpointOptions& options, bool with_head) {
  const std::unique_ptr<TensorSource> source = open_told(options.checkpoint);
  const FoundNetwork network = choose_network(*source, options.weights_prefix);
  check_arch(options.arch, network.config.arch, options.checkpoint);
  CHECK(!with_head || network.head, options.checkpoint, ": the network in it has no head that is ",
        "built here ('fc', or 'fc.0' and 'fc.2'); look at the pooled features before it");
  say_which(*source, network);
  return {.config = network.config, .tensors = read_network(*source, network, with_head)};
}

std::unique_ptr<ResNet> load_network(const CheckpointOptions& options, bool with_head) {
  const auto [config, tensors] = load_weights_of(options, with_head);
  auto network = std::make_unique<ResNet>(config);
  if (with_head) {
    load_pytorch_state(*network, tensors, options.checkpoint);
  } else {
    load_pytorch_backbone(*network, tensors, options.checkpoint);
  }
  network->train(false);
  return network;
}

bool has_head(const CheckpointOptions& options) {
  const std::unique_ptr<TensorSource> source = open_weights(options.checkpoint);
  return choose_network(*source, options.weights_prefix).head;
}

}  // namespace invp::cli
