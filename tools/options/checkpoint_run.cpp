#include "tools/options/checkpoint_run.h"

#include <algorithm>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/safetensors.h"
#include "invp/run/identity.h"
#include "invp/run/run_metadata.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

constexpr std::string_view kRun = "run.";
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

/// The settings of a run, by the names of their options.
class RunSettings {
 public:
  RunSettings(const Metadata& metadata, const std::filesystem::path& origin)
      : metadata_(metadata), origin_(origin) {}

  std::string text(std::string_view name) const {
    const auto found = metadata_.find(std::string(kRun).append(name));
    return found == metadata_.end() ? std::string() : found->second;
  }

  std::optional<double> number(std::string_view name) const {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    const std::optional<double> number = number_in(value);
    CHECK(number, origin_.string(), ": its ", name, " is '", printable(value), "', not a number");
    return number;
  }

  std::optional<int> pixels(std::string_view name) const {
    const std::optional<double> value = number(name);
    if (!value) return std::nullopt;
    CHECK(*value >= 0 && *value <= 65536, origin_.string(), ": its ", name, " is ", *value,
          " pixels");
    return static_cast<int>(*value);
  }

  /// Three numbers, one per channel.
  std::optional<std::array<float, 3>> channels(std::string_view name) const {
    const std::string value = text(name);
    if (value.empty()) return std::nullopt;
    std::array<float, 3> all{};
    std::size_t count = 0;
    for (const std::string& word : split(value, ',')) {
      const std::optional<double> number = number_in(word);
      CHECK(number && count < all.size(), origin_.string(), ": its ", name, " is '",
            printable(value), "', not three numbers");
      all.at(count++) = static_cast<float>(*number);
    }
    CHECK(count == all.size(), origin_.string(), ": its ", name, " is '", printable(value),
          "', not three numbers");
    return all;
  }

 private:
  const Metadata& metadata_;
  const std::filesystem::path& origin_;
};

/// Version 1 has the size at the beginning of its "augmentation": "224 px, framing 0, ...".
std::optional<int> size_of_version_1(const std::string& augmentation) {
  const std::optional<double> size = number_in(augmentation.substr(0, augmentation.find(' ')));
  if (!size || *size < 1 || *size > 65536) return std::nullopt;
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
  const RunSettings settings(metadata, checkpoint);
  run.exported = !metadata.empty() && metadata.at("kind") == kExport;
  run.training_images = stored_training_images(metadata);
  run.tau = settings.number("tau");
  if (checkpoint_version(metadata) == 1) {
    run.command = settings.text("tau").empty() ? "invp finetune" : "invp pretrain";
    run.image_size = size_of_version_1(settings.text("augmentation"));
    return run;
  }
  const auto command = metadata.find("command");
  run.command = command == metadata.end() ? "" : command->second;
  run.image_size = settings.pixels("image-size");
  run.resize_shorter = settings.pixels("resize-shorter");
  const auto mean = settings.channels("normalize-mean");
  const auto deviation = settings.channels("normalize-std");
  if (mean && deviation) run.normalization = Normalization{.mean = *mean, .std = *deviation};
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
