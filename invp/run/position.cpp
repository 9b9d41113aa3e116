#include "invp/run/position.h"

#include <charconv>
#include <limits>
#include <sstream>

#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

namespace {

constexpr const char* kPosition = "position.";
constexpr const char* kBadImages = "position.bad_images";
constexpr const char* kBest = "position.best.";
constexpr const char* kBestEpoch = "position.best_epoch.";

int epoch_in(const MetadataReader& read, const std::string& key, int first) {
  return static_cast<int>(read.integer(key, first, std::numeric_limits<int>::max() - 1));
}

/// Pretraining wrote its losses and its best kNN by names of their own before version 2.
void read_earlier(const MetadataReader& read, const std::vector<std::string>& losses,
                  Position& position) {
  for (const std::string& loss : losses) {
    position.loss_sums.push_back(read.real(loss + "_sum"));
    position.last_losses.push_back(read.real("last_" + loss));
  }
  if (const int epoch = epoch_in(read, "best_epoch", 0); epoch > 0)
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
    std::int64_t number = -1;
    const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), number);
    CHECK(error == std::errc() && end == word.data() + word.size() && number >= 0, origin, ": '",
          kBadImages, "' holds '", printable(word), "', not the number of an image");
    numbers.push_back(number);
  }
  return numbers;
}

/// Numbers that no run can have come to.
void check_position(const Position& position, const std::string& origin) {
  const Progress& at = position.progress;
  const auto epochs_before = static_cast<std::int64_t>(at.epoch) - 1;
  CHECK(at.epoch_step <= at.steps_per_epoch, origin, ": stands at step ", at.epoch_step,
        " of an epoch of ", at.steps_per_epoch, "; the file is damaged, or of another data set");
  CHECK(at.step <= epochs_before * at.steps_per_epoch + at.epoch_step, origin, ": ", at.step,
        " steps were taken until step ", at.epoch_step, " of epoch ", at.epoch, ", of ",
        at.steps_per_epoch, " steps each; the file is damaged");
  for (const auto& [name, best] : position.best) {
    CHECK(best.epoch <= at.epoch, origin, ": the best ", printable(name), " is of epoch ",
          best.epoch, ", which is not there before epoch ", at.epoch, "; the file is damaged");
  }
}

Position parse_position(const Metadata& metadata, const std::vector<std::string>& losses,
                        std::int64_t steps_per_epoch, const std::string& origin) {
  const MetadataReader read(metadata, kPosition, origin);
  Position position{.progress = {.step = read.count("global_step"),
                                 .epoch = epoch_in(read, "epoch", 1),
                                 .epoch_step = read.count("step"),
                                 .steps_per_epoch = steps_per_epoch},
                    .images = read.count("images"),
                    .loss_sums = {},
                    .seconds = read.real("seconds"),
                    .wait_seconds = read.real_or_zero("wait_seconds"),
                    .last_losses = {},
                    .best = {},
                    .bad_images = bad_images_in(metadata, origin),
                    .prepared = !read.has("unprepared")};
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
    position.best[name] = {.value = best.real(name), .epoch = epoch_in(best_epoch, name, 0)};
  }
  return position;
}

}  // namespace

void note_best(const std::vector<ShownMeasure>& shown, const std::vector<Measure>& measures,
               Position& position) {
  for (const ShownMeasure& measure : shown) {
    const double* const value = find_measure(measures, measure.name);
    if (value == nullptr) continue;
    const auto known = position.best.find(measure.name);
    if (known != position.best.end() && !(*value > known->second.value)) continue;
    position.best[measure.name] = {.value = *value, .epoch = position.progress.epoch};
  }
}

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
  if (!position.prepared) put("unprepared", "1");
  if (!position.bad_images.empty()) metadata[kBadImages] = joined(position.bad_images);
  for (const auto& [name, best] : position.best) {
    metadata[kBest + name] = exact_text(best.value);
    metadata[kBestEpoch + name] = std::to_string(best.epoch);
  }
}

Position read_position(const Metadata& metadata, const std::vector<std::string>& losses,
                       std::int64_t steps_per_epoch, const std::string& origin) {
  Position position = parse_position(metadata, losses, steps_per_epoch, origin);
  check_position(position, origin);
  return position;
}

std::int64_t steps_taken(const Metadata& metadata) {
  try {
    return MetadataReader(metadata, kPosition, "").count("global_step");
  } catch (const Error&) {
    return -1;
  }
}

}  // namespace invp
