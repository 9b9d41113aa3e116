#include "tools/options/checkpoint_network.h"

#include "invp/run/checkpoint.h"
#include "layers/exchange.h"
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

void declare_evaluation(Options& options, CheckpointOptions& checkpoint) {
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

std::unique_ptr<ResNet> load_network(const CheckpointOptions& options, bool with_head) {
  const std::string& file = options.checkpoint;
  const TensorFile weights = load_network_weights(file);
  const NetworkConfig found = recognise_network(weights, file);
  check_arch(options.arch, found.arch, file);
  auto network = std::make_unique<ResNet>(found);
  if (with_head) {
    load_pytorch_state(*network, weights, file);
  } else {
    load_pytorch_backbone(*network, weights, file);
  }
  network->train(false);
  return network;
}

}  // namespace invp::cli
