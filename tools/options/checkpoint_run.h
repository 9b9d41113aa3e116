// What a checkpoint says of the run that wrote it, for commands that evaluate its network: they
// show it images as that run did, unless told otherwise.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "data/images/augment.h"
#include "data/sets/dataset.h"
#include "invp/run/run_metadata.h"

namespace invp::cli {

struct CheckpointRun {
  std::string command;    ///< "invp pretrain"; empty: no run of ours wrote the file
  bool exported = false;  ///< its network alone, by invp convert
  std::optional<int> image_size;
  std::optional<int> resize_shorter;
  std::optional<Normalization> normalization;  ///< version 1 does not say
  std::optional<double> tau;
  std::string training_images;  ///< training_images() of that run (invp/run/identity.h)

  /// Replaces what `training` says of size, framing and normalization by what the run had.
  void apply(AugmentConfig& training) const;
};

/// Of any file: a checkpoint of ours, of this version or the one before, an export of one, or
/// weights of others, of which nothing is known. Throws Error naming the file where a checkpoint's
/// settings cannot be read.
CheckpointRun read_checkpoint_run(const std::filesystem::path& checkpoint);

/// What an export of a run's network keeps of its settings, for a file's metadata, so that
/// read_checkpoint_run finds it again. Empty of other files.
Metadata exported_run(const Metadata& checkpoint);

/// Were these the images that the run trained on, in the same order? False for runs that do not
/// say.
bool trained_on(const CheckpointRun& run, const Dataset& train);

/// "32 px, normalized as cifar", "224 px of a shorter side of 256, normalized by 0.5,0.5,0.5 and
/// 0.2,0.2,0.2".
std::string described_images(const AugmentConfig& evaluation);

}  // namespace invp::cli
