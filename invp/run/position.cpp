#include "invp/run/position.h"

#include <optional>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "invp/run/identity.h"

namespace invp {

namespace {

constexpr const char* kPosition = "position.";
constexpr const char* kBadImages = "position.bad_images";
constexpr const char* kBest = "position.best.";
constexpr const char* kBestEpoch = "position.best_epoch.";

/// Pretraining wrote its losses and its best kNN by names of their own before version 2.
void read_earlier(const MetadataReader& read, const std::vector<std::string>& losses,
                  Position& position) {
  for (const std::string& loss : losses) {
    position.loss_sums.push_back(read.real(loss + "_sum"));
    position.last_losses.push_back(read.real("last_" + loss));
  }
  if (const int epoch = static_cast<int>(read.integer("best_epoch")); epoch > 0)
    position.best["knn_top1"] = {.value = read.real("best_knn_top1"), .epoch = epoch};
}

/// Whole numbers between commas.
std::string joined(const std::vector<std::int64_t>& numbers) {
  std::string text;
  for (const std::int64_t number : numbers)
    text += (text.empty() ? "" : ",") + std::to_string(number);
  return text;
}

std::vector<std::int64_t> bad_images_in(const Metadata& metadata, const std::string& origin) {
  std::vector<std::int64_t> numbers;
  const auto found = metadata.find(kBadImages);
  if (found == metadata.end()) return numbers;
  std::istringstream words(found->second);
  for (std::string word; std::getline(words, word, ',');) {
    const std::optional<double> number = number_in(word);
    CHECK(number, origin, ": '", kBadImages, "' holds '", printable(word), "', not a number");
    numbers.push_back(static_cast<std::int64_t>(*number));
  }
  return numbers;
}

}  // namespace

void write_position(const Position& position, const std::vector<std::string>& losses,
                    Metadata& metadata) {
  const auto put = [&](const std::string& key, const std::string& value) {
    metadata[kPosition + key] = value;
  };
  put("epoch", std::to_string(position.progress.epoch));
  put("step", std::to_string(position.progress.epoch_step));
  put("global_step", std::to_string(position.progress.step));
  put("images", std::to_string(position.images));
  put("seconds", exact_text(position.seconds));
  put("wait_seconds", exact_text(position.wait_seconds));
  for (std::size_t i = 0; i < losses.size(); ++i) {
    put("sum." + losses[i], exact_text(position.loss_sums[i]));
    put("last." + losses[i], exact_text(position.last_losses[i]));
  }
  if (!position.bad_images.empty()) metadata[kBadImages] = joined(position.bad_images);
  for (const auto& [name, best] : position.best) {
    metadata[kBest + name] = exact_text(best.value);
    metadata[kBestEpoch + name] = std::to_string(best.epoch);
  }
}

Position read_position(const Metadata& metadata, const std::vector<std::string>& losses,
                       std::int64_t steps_per_epoch, const std::string& origin) {
  const MetadataReader read(metadata, kPosition, origin);
  Position position{.progress = {.step = read.integer("global_step"),
                                 .epoch = static_cast<int>(read.integer("epoch")),
                                 .epoch_step = read.integer("step"),
                                 .steps_per_epoch = steps_per_epoch},
                    .images = read.integer("images"),
                    .loss_sums = {},
                    .seconds = read.real("seconds"),
                    .wait_seconds = read.real_or_zero("wait_seconds"),
                    .last_losses = {},
                    .best = {},
                    .bad_images = bad_images_in(metadata, origin)};
  if (read.has(losses.front() + "_sum")) {
    read_earlier(read, losses, position);
    return position;
  }
  for (const std::string& loss : losses) {
    position.loss_sums.push_back(read.real("sum." + loss));
    // The supervised runs of version 1 kept the last value of the first loss alone.
    position.last_losses.push_back(read.has("last." + loss) ? read.real("last." + loss)
                                   : loss == losses.front() ? read.real("last_loss")
                                                            : 0);
  }
  const MetadataReader best(metadata, kBest, origin);
  const MetadataReader best_epoch(metadata, kBestEpoch, origin);
  for (const auto& [key, value] : metadata) {
    if (!key.starts_with(kBest)) continue;
    const std::string name = key.substr(std::string_view(kBest).size());
    position.best[name] = {.value = best.real(name),
                           .epoch = static_cast<int>(best_epoch.integer(name))};
  }
  return position;
}

std::int64_t steps_taken(const Metadata& metadata) {
  const MetadataReader read(metadata, kPosition, "");
  return read.has("global_step") ? read.integer("global_step") : -1;
}

}  // namespace invp
