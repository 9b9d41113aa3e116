// The options that name a trained network and say how images reach it, and the network they name.
#pragma once

#include <memory>
#include <string>

#include "engine/files/tensor_file.h"
#include "engine/files/tensor_source.h"
#include "layers/resnet.h"
#include "tools/options/options.h"

namespace invp::cli {

struct CheckpointOptions {
  std::string checkpoint;
  std::string weights_prefix = {};
  std::string arch = "auto";
  std::string augment = "auto";
  int image_size = 0;
  int batch_size = 64;
  double max_bad_share = 0.01;  ///< of a data set that may be unreadable
};

void declare_checkpoint(Options& options, CheckpointOptions& checkpoint);
/// Without --checkpoint itself, for commands that take several.
void declare_evaluation(Options& options, CheckpointOptions& checkpoint);

/// --weights-prefix, for every command that reads a network.
Options& declare_weights_prefix(Options& options, std::string& prefix);

/// The network that a file holds, whatever stands beside it (layers/find_network.h), in evaluation
/// mode. A line says which was taken. Without `with_head` the file's head is ignored. Throws Error
/// naming the file and what does not fit, also when --arch is another, and when a head is wanted
/// that is not there.
std::unique_ptr<ResNet> load_network(const CheckpointOptions& options, bool with_head);

/// Opens weights (engine/files/weights.h). The first time that a file is opened that has no
/// checksums, a line on stderr says so.
std::unique_ptr<TensorSource> open_told(const std::string& path);
/// The line alone, for what was read already.
void tell_unproven(const std::string& path, bool has_checksums);

/// Does that network have a head that we build?
bool has_head(const CheckpointOptions& options);
/// The weights of a network and what they are the weights of; the head is part of that even where
/// it was not read.
struct NetworkWeights {
  NetworkConfig config;
  TensorFile tensors;
};
/// The weights alone, for commands that build the network themselves.
NetworkWeights load_weights_of(const CheckpointOptions& options, bool with_head);

}  // namespace invp::cli
