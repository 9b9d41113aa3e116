#include "invp/report/text/metrics_writer.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <limits>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"

namespace invp {

namespace {

using Json = nlohmann::ordered_json;

Json number(double value) {
  return std::isfinite(value) ? Json(value) : Json(nullptr);
}

double number_at(const Json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::numeric_limits<double>::quiet_NaN();
  return found->get<double>();
}

std::optional<double> optional_at(const Json& object, const char* key) {
  if (!object.contains(key)) return std::nullopt;
  return number_at(object, key);
}

constexpr std::array kFixedKeys = {"epoch",
                                   "step",
                                   "loss",
                                   "loss_ins",
                                   "loss_inv",
                                   "learning_rate",
                                   "knn_top1",
                                   "knn_top5",
                                   "seconds",
                                   "images_per_second",
                                   "data_wait",
                                   "peak_memory_bytes",
                                   "positive_purity",
                                   "hard_positive_purity",
                                   "skipped_images",
                                   "positive_purity",
                                   "hard_positive_purity"};

EpochReport parse_line(const std::string& line) {
  const Json object = Json::parse(line);
  EpochReport report;
  report.epoch = object.at("epoch").get<std::int64_t>();
  report.global_step = object.value("step", std::int64_t{0});
  report.loss = number_at(object, "loss");
  report.loss_ins = optional_at(object, "loss_ins");
  report.loss_inv = optional_at(object, "loss_inv");
  report.learning_rate = number_at(object, "learning_rate");
  report.knn_top1 = optional_at(object, "knn_top1");
  report.knn_top5 = optional_at(object, "knn_top5");
  report.positive_purity = optional_at(object, "positive_purity");
  report.hard_positive_purity = optional_at(object, "hard_positive_purity");
  report.seconds = number_at(object, "seconds");
  report.images_per_second = number_at(object, "images_per_second");
  report.data_wait = object.value("data_wait", 0.0);
  report.peak_memory_bytes = object.value("peak_memory_bytes", std::int64_t{0});
  report.skipped_images = object.value("skipped_images", std::int64_t{0});
  for (const auto& [key, value] : object.items()) {
    const bool fixed = std::ranges::find(kFixedKeys, key) != kFixedKeys.end();
    if (!fixed && (value.is_number() || value.is_null()))
      report.measures.push_back({key, number_at(object, key.c_str())});
  }
  return report;
}

}  // namespace

std::string metrics_line(const EpochReport& report) {
  Json object;
  object["epoch"] = report.epoch;
  object["step"] = report.global_step;
  object["loss"] = number(report.loss);
  if (report.loss_ins) object["loss_ins"] = number(*report.loss_ins);
  if (report.loss_inv) object["loss_inv"] = number(*report.loss_inv);
  object["learning_rate"] = number(report.learning_rate);
  if (report.knn_top1) object["knn_top1"] = number(*report.knn_top1);
  if (report.knn_top5) object["knn_top5"] = number(*report.knn_top5);
  if (report.positive_purity) object["positive_purity"] = number(*report.positive_purity);
  if (report.hard_positive_purity)
    object["hard_positive_purity"] = number(*report.hard_positive_purity);
  object["seconds"] = number(report.seconds);
  object["images_per_second"] = number(report.images_per_second);
  object["data_wait"] = number(report.data_wait);
  object["peak_memory_bytes"] = report.peak_memory_bytes;
  object["skipped_images"] = report.skipped_images;
  for (const Measure& measure : report.measures) object[measure.name] = number(measure.value);
  return object.dump();
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
      if (in.eof()) break;  // the line a crash cut short has no newline
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
  const std::filesystem::path fresh = file_.string() + ".tmp";
  {
    std::ofstream out(fresh, std::ios::trunc);
    for (const EpochReport& epoch : epochs_) out << metrics_line(epoch) << '\n';
    out.flush();
    CHECK(out.good(), file_.string(),
          ": cannot be written (is the disk full, the folder read-only?)");
  }
  std::filesystem::rename(fresh, file_);
}

void MetricsWriter::write(const EpochReport& report) {
  epochs_.push_back(report);
  std::ofstream out(file_, std::ios::app);
  out << metrics_line(report) << '\n' << std::flush;
  CHECK(out.good(), file_.string(),
        ": cannot be written (is the disk full, the folder read-only?)");
}

}  // namespace invp
