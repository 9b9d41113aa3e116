#include "invp/report/text/metrics_writer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "engine/files/json_text.h"
#include "invp/run/measures.h"

namespace invp {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

double number_of(const Json& value) {
  return value.is_null() ? std::numeric_limits<double>::quiet_NaN() : value.get<double>();
}

/// Throws for other values than whole numbers: one like 1e300 has none to be cast to.
std::int64_t whole_of(const Json& value) {
  return value.get_ref<const Json::number_integer_t&>();
}

/// A field that every epoch has: its key, and where the report keeps it.
struct Field {
  const char* key;
  double EpochReport::*real = nullptr;
  std::int64_t EpochReport::*whole = nullptr;

  Json read(const EpochReport& report) const {
    return real != nullptr ? number(report.*real) : Json(report.*whole);
  }
  void write(EpochReport& report, const Json& value) const {
    real != nullptr ? void(report.*real = number_of(value)) : void(report.*whole = whole_of(value));
  }
};

// In the order in which a line has them.
constexpr std::array kFields = {
    Field{"epoch", nullptr, &EpochReport::epoch},
    Field{"step", nullptr, &EpochReport::global_step},
    Field{"loss", &EpochReport::loss},
    Field{"learning_rate", &EpochReport::learning_rate},
    Field{"seconds", &EpochReport::seconds},
    Field{"images_per_second", &EpochReport::images_per_second},
    Field{"data_wait", &EpochReport::data_wait},
    Field{"peak_memory_bytes", nullptr, &EpochReport::peak_memory_bytes},
    Field{"skipped_images", nullptr, &EpochReport::skipped_images}};

EpochReport parse_line(const std::string& line) {
  const Json object = Json::parse(line);
  constexpr double kUnknown = std::numeric_limits<double>::quiet_NaN();
  EpochReport report{.epoch = whole_of(object.at("epoch")),
                     .loss = kUnknown,
                     .learning_rate = kUnknown,
                     .seconds = kUnknown,
                     .images_per_second = kUnknown};
  for (const auto& [key, value] : object.items()) {
    const auto field = std::ranges::find(kFields, std::string_view(key), &Field::key);
    if (field != kFields.end()) {
      field->write(report, value);
    } else if (value.is_number() || value.is_null()) {
      report.measures.push_back({key, number_of(value)});
    }
  }
  return report;
}

}  // namespace

std::string metrics_line(const EpochReport& report) {
  Json object;
  const auto add_measures = [&](MeasurePlace place) {
    for (const Measure& measure : report.measures) {
      if (place_of(measure.name) == place) object[measure.name] = number(measure.value);
    }
  };
  for (const Field& field : kFields) {
    object[field.key] = field.read(report);
    if (field.real == &EpochReport::loss) add_measures(MeasurePlace::kAfterLoss);
    if (field.real == &EpochReport::learning_rate) add_measures(MeasurePlace::kAfterRate);
  }
  add_measures(MeasurePlace::kLast);
  return json_text(object);
}

std::vector<EpochReport> read_metrics(const std::filesystem::path& file,
                                      std::vector<std::int64_t>& bad_lines) {
  std::vector<EpochReport> epochs;
  std::ifstream in(file);
  std::string line;
  for (std::int64_t row = 1; std::getline(in, line); ++row) {
    if (line.empty()) continue;
    try {
      epochs.push_back(parse_line(line));
    } catch (const Json::exception&) {
      if (in.eof()) break;  // no newline: a crash cut this line short
      bad_lines.push_back(row);
    }
  }
  return epochs;
}

std::vector<EpochReport> read_metrics(const std::filesystem::path& file) {
  std::vector<std::int64_t> bad_lines;
  std::vector<EpochReport> epochs = read_metrics(file, bad_lines);
  CHECK(bad_lines.empty(), file.string(), ":", bad_lines.front(),
        ": not a line of metrics; remove the line or the file");
  return epochs;
}

MetricsWriter::MetricsWriter(std::filesystem::path file, std::int64_t first_epoch)
    : file_(std::move(file)), epochs_(read_metrics(file_)) {
  std::erase_if(epochs_, [&](const EpochReport& old) { return old.epoch >= first_epoch; });
  for (const EpochReport& epoch : epochs_) lines_ += metrics_line(epoch) + '\n';
  write_file(file_, lines_);
}

void MetricsWriter::write(const EpochReport& report) {
  epochs_.push_back(report);
  lines_ += metrics_line(report) + '\n';
  complete_ = false;
  catch_up();
}

void MetricsWriter::catch_up() {
  if (complete_) return;
  write_file(file_, lines_);
  complete_ = true;
}

}  // namespace invp
