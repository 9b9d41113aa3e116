// The options that name a trained network and say how images reach it, and the network they name.
#pragma once

#include <memory>
#include <string>

#include "layers/resnet.h"
#include "tools/options/options.h"

namespace invp::cli {

struct CheckpointOptions {
  std::string checkpoint;
  std::string arch = "auto";
  std::string augment = "auto";
  int image_size = 0;
  int batch_size = 64;
  double max_bad_share = 0.01;  ///< of a data set that may be unreadable
};

void declare_checkpoint(Options& options, CheckpointOptions& checkpoint);
/// Without --checkpoint itself, for commands that take several.
void declare_evaluation(Options& options, CheckpointOptions& checkpoint);

/// The network of a run's checkpoint, or of torchvision-named weights in .safetensors or .pth, in
/// evaluation mode. Without `with_head` the file's head is ignored. Throws Error naming the file
/// and what does not fit, also when --arch is another.
std::unique_ptr<ResNet> load_network(const CheckpointOptions& options, bool with_head);

}  // namespace invp::cli
