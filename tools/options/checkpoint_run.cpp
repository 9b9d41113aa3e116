#include "tools/options/checkpoint_run.h"

#include <array>
#include <vector>

#include "engine/core/error.h"
#include "engine/files/safetensors.h"
#include "invp/run/identity.h"
#include "invp/run/run_metadata.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

constexpr std::string_view kRun = "run.";
constexpr double kMostPixels = 65536;              ///< of a side
constexpr const char* kExport = "invp-weights-1";  ///< the kind of an exported network

/// Of a checkpoint of ours or an export of one; else empty.
Metadata metadata_of(const std::filesystem::path& file) {
  try {
    Metadata metadata = read_safetensors_header(file).metadata;
    const auto kind = metadata.find("kind");
    const bool exported = kind != metadata.end() && kind->second == kExport;
    if (exported || !checkpoint_kind(metadata).empty()) return metadata;
  } catch (const Error&) {
    // PyTorch's, or broken, which reading its tensors will say.
  }
  return {};
}

std::string setting(const Metadata& metadata, const std::string& name) {
  const auto found = metadata.find(std::string(kRun) + name);
  return found == metadata.end() ? std::string() : found->second;
}

/// Sets the options that the run tells of, as the command line would; others keep their values.
void read_settings(const Metadata& metadata, const std::string& origin, const Options& options) {
  for (const Options::Spec& option : options.specs()) {
    const std::string value = setting(metadata, option.name);
    try {
      if (!value.empty()) option.set(value);
    } catch (const UsageError& error) {
      fail(origin, ": its ", option.name, " ", error.what(), "; the file is damaged");
    }
  }
}

std::array<float, 3> channels(const std::vector<double>& values) {
  return {static_cast<float>(values[0]), static_cast<float>(values[1]),
          static_cast<float>(values[2])};
}

/// Version 1 has the size at the beginning of its "augmentation": "224 px, framing 0, ...".
std::optional<int> size_of_version_1(const std::string& augmentation) {
  const std::optional<double> size = number_in(augmentation.substr(0, augmentation.find(' ')));
  if (!size || !(*size >= 1 && *size <= kMostPixels)) return std::nullopt;  // NaN, too
  return static_cast<int>(*size);
}

}  // namespace

void CheckpointRun::apply(AugmentConfig& training) const {
  training.image_size = image_size.value_or(training.image_size);
  training.resize_shorter = resize_shorter.value_or(training.resize_shorter);
  training.normalization = normalization.value_or(training.normalization);
}

Metadata exported_run(const Metadata& checkpoint) {
  if (checkpoint_kind(checkpoint).empty()) return {};
  Metadata kept = {{"kind", kExport}};
  for (const char* key : {"command", "run.image-size", "run.resize-shorter", "run.normalize-mean",
                          "run.normalize-std", "run.tau"}) {
    if (const auto found = checkpoint.find(key); found != checkpoint.end()) kept.insert(*found);
  }
  return kept;
}

CheckpointRun read_checkpoint_run(const std::filesystem::path& checkpoint) {
  CheckpointRun run;
  const Metadata metadata = metadata_of(checkpoint);
  const bool first_version = checkpoint_version(metadata) == 1;
  int image_size = 0, resize_shorter = -1;
  double tau = 0;
  std::vector<double> mean, deviation;
  Options options;
  options.number("tau", tau, kPositive, "");
  if (!first_version) {
    options.integer("image-size", image_size, {1, kMostPixels}, "")
        .integer("resize-shorter", resize_shorter, {0, kMostPixels}, "")
        .numbers("normalize-mean", mean, 3, {0, 1}, "")
        .numbers("normalize-std", deviation, 3, {0, 1000, true}, "");
  }
  read_settings(metadata, checkpoint.string(), options);

  run.exported = !metadata.empty() && metadata.at("kind") == kExport;
  run.training_images = stored_training_images(metadata);
  if (tau > 0) run.tau = tau;
  if (first_version) {
    run.command = run.tau ? "invp pretrain" : "invp finetune";
    run.image_size = size_of_version_1(setting(metadata, "augmentation"));
    return run;
  }
  const auto command = metadata.find("command");
  run.command = command == metadata.end() ? "" : command->second;
  if (image_size > 0) run.image_size = image_size;
  if (resize_shorter >= 0) run.resize_shorter = resize_shorter;
  if (!mean.empty() && !deviation.empty())
    run.normalization = Normalization{.mean = channels(mean), .std = channels(deviation)};
  return run;
}

bool trained_on(const CheckpointRun& run, const Dataset& train) {
  return !run.training_images.empty() && run.training_images == training_images(train).value;
}

std::string described_images(const AugmentConfig& evaluation) {
  const int shorter = evaluation.resize_shorter;
  return message(evaluation.image_size, " px",
                 shorter > 0 ? message(" of a shorter side of ", shorter) : std::string(),
                 ", normalized ", described(evaluation.normalization));
}

}  // namespace invp::cli
