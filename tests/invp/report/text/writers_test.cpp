// metrics.jsonl, TensorBoard events and the charts, each read back by a reader written here.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "invp/report/svg/curves.h"
#include "invp/report/svg/svg_chart.h"
#include "invp/report/text/metrics_writer.h"
#include "invp/report/text/run_reporter.h"
#include "invp/report/text/tensorboard.h"
#include "invp/run/measures.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::read_all;
using testing::TempFolder;

EpochReport epoch_report(std::int64_t epoch, double loss) {
  return {.epoch = epoch,
          .global_step = 10 * epoch,
          .loss = loss,
          .learning_rate = 0.03,
          .seconds = 12.5,
          .images_per_second = 800,
          .data_wait = 0.125,
          .peak_memory_bytes = 1 << 20,
          .measures = {{"loss_ins", loss - 1},
                       {"loss_inv", 0.5},
                       {"knn_top1", 40 + static_cast<double>(epoch)},
                       {"knn_top5", 80}}};
}

/// What pretraining shows.
RunPlan plan_of(std::int64_t epochs) {
  return {.epochs = epochs,
          .steps_per_epoch = 10,
          .images_per_epoch = 100,
          .shown = known_measures({"loss_ins", "loss_inv", "knn_top1", "knn_top5",
                                   "positive_purity", "hard_positive_purity"})};
}

TEST(Metrics, OneObjectALineWithTheNamedKeys) {
  const TempFolder folder;
  MetricsWriter writer(folder / "metrics.jsonl", 1);
  writer.write(epoch_report(1, 6));
  writer.write(epoch_report(2, std::nan("")));
  std::istringstream lines(read_all(folder / "metrics.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const auto first = nlohmann::json::parse(line);
  EXPECT_EQ(first.at("epoch"), 1);
  EXPECT_EQ(first.at("loss"), 6.0);
  EXPECT_EQ(first.at("knn_top1"), 41.0);
  EXPECT_EQ(first.at("data_wait"), 0.125);
  EXPECT_EQ(first.at("peak_memory_bytes"), 1 << 20);
  ASSERT_TRUE(std::getline(lines, line));
  EXPECT_TRUE(nlohmann::json::parse(line).at("loss").is_null());
  EXPECT_FALSE(std::getline(lines, line));
}

// Scripts read the keys, and people read them in this order.
TEST(Metrics, MeasuresStandWhereTheTableSays) {
  EpochReport report = epoch_report(1, 6);
  report.measures.insert(report.measures.begin(), {{"top1", 50}, {"loss_tap3", std::nan("")}});
  const std::string line =
      R"({"epoch":1,"step":10,"loss":6.0,"loss_ins":5.0,"loss_inv":0.5,"learning_rate":0.03,)"
      R"("knn_top1":41.0,"knn_top5":80.0,"seconds":12.5,"images_per_second":800.0,)"
      R"("data_wait":0.125,"peak_memory_bytes":1048576,"skipped_images":0,"top1":50.0,)"
      R"("loss_tap3":null})";
  EXPECT_EQ(metrics_line(report), line);
  const TempFolder folder;
  EXPECT_EQ(metrics_line(read_metrics(folder.write("metrics.jsonl", line + "\n")).front()), line);
}

TEST(Metrics, ALineMayLackFields) {
  const TempFolder folder;
  const EpochReport report =
      read_metrics(folder.write("metrics.jsonl", "{\"epoch\": 3, \"text\": \"x\"}\n")).front();
  EXPECT_EQ(report.epoch, 3);
  EXPECT_TRUE(std::isnan(report.loss) && std::isnan(report.learning_rate));
  EXPECT_TRUE(std::isnan(report.seconds) && std::isnan(report.images_per_second));
  EXPECT_EQ(report.data_wait, 0);
  EXPECT_EQ(report.peak_memory_bytes, 0);
  EXPECT_TRUE(report.measures.empty());
}

TEST(Measures, EachNameStandsOnceWithAHeadingThatFits) {
  std::map<std::string, int> names;
  for (const ShownMeasure& known : known_measures()) {
    EXPECT_EQ(++names[known.name], 1) << known.name;
    EXPECT_LE(known.heading.size(), 7u) << known.name;
    EXPECT_FALSE(known.title.empty()) << known.name;
    EXPECT_TRUE(std::ranges::any_of(measure_charts(), [&](const MeasureChart& chart) {
      return chart.title == known.chart;
    })) << known.name;
  }
  EXPECT_THAT(testing::error_of([] {
                known_measures({"top1", "knn_top9"});
              }),
              HasSubstr("no measure is called 'knn_top9'"));
}

TEST(Metrics, AResumedRunRepeatsNoEpochAndDropsACutLine) {
  const TempFolder folder;
  {
    MetricsWriter writer(folder / "metrics.jsonl", 1);
    for (int epoch = 1; epoch <= 3; ++epoch) writer.write(epoch_report(epoch, 6));
  }
  std::ofstream(folder / "metrics.jsonl", std::ios::app) << "{\"epoch\": 4, \"lo";
  MetricsWriter writer(folder / "metrics.jsonl", 3);
  writer.write(epoch_report(3, 5));
  std::vector<std::int64_t> epochs;
  for (const EpochReport& report : read_metrics(folder / "metrics.jsonl"))
    epochs.push_back(report.epoch);
  EXPECT_THAT(epochs, ElementsAre(1, 2, 3));
  EXPECT_EQ(read_metrics(folder / "metrics.jsonl").back().loss, 5);
}

TEST(Metrics, ABadLineIsNamed) {
  const TempFolder folder;
  const auto file = folder.write("metrics.jsonl", "{\"epoch\": 1}\nnonsense\n{\"epoch\": 2}\n");
  EXPECT_EQ(testing::error_of([&] { read_metrics(file); }),
            file.string() + ":2: not a line of metrics; remove the line or the file");
}

TEST(Metrics, NumbersThatAreNotWholeAreNoEpochs) {
  const TempFolder folder;
  const auto file =
      folder.write("metrics.jsonl",
                   "{\"epoch\": 1e300}\n{\"epoch\": 1, \"step\": -1e30}\n"
                   "{\"epoch\": 2, \"skipped_images\": 0.5}\n{\"epoch\": 3, \"loss\": 1e300}\n"
                   "{\"epoch\": null}\n{\"epoch\": \"4\"}\n");
  std::vector<std::int64_t> bad_lines;
  const auto epochs = read_metrics(file, bad_lines);
  ASSERT_EQ(epochs.size(), 1u);
  EXPECT_EQ(epochs[0].epoch, 3);
  EXPECT_EQ(epochs[0].loss, 1e300);
  EXPECT_THAT(bad_lines, ElementsAre(1, 2, 3, 5, 6));
}

// A TFRecord and protocol-buffer reader with its own bitwise CRC, independent of the writer's
// table.
std::uint32_t slow_crc32c(const std::string& bytes) {
  std::uint32_t crc = 0xFFFFFFFF;
  for (const char byte : bytes) {
    crc ^= static_cast<std::uint8_t>(byte);
    for (int bit = 0; bit < 8; ++bit) crc = (crc & 1) != 0 ? crc >> 1 ^ 0x82F63B78 : crc >> 1;
  }
  return ~crc;
}
std::uint32_t masked(const std::string& bytes) {
  const std::uint32_t crc = slow_crc32c(bytes);
  return (crc >> 15 | crc << 17) + 0xA282EAD8;
}
template <class T>
T read_at(const std::string& bytes, std::size_t at) {
  T value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::vector<std::string> records_of(const std::string& file) {
  std::vector<std::string> records;
  for (std::size_t at = 0; at < file.size();) {
    const auto length = read_at<std::uint64_t>(file, at);
    EXPECT_EQ(read_at<std::uint32_t>(file, at + 8), masked(file.substr(at, 8)));
    records.push_back(file.substr(at + 12, length));
    EXPECT_EQ(read_at<std::uint32_t>(file, at + 12 + length), masked(records.back()));
    at += 16 + length;
  }
  return records;
}

/// Field number -> raw value (bytes of length-delimited and fixed fields, decimal of varints).
std::map<int, std::string> fields_of(const std::string& bytes) {
  std::map<int, std::string> fields;
  std::size_t at = 0;
  const auto varint = [&] {
    std::uint64_t value = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<std::uint8_t>(bytes.at(at++));
      value |= std::uint64_t{byte & 0x7Fu} << shift;
      if (byte < 0x80) return value;
    }
  };
  while (at < bytes.size()) {
    const std::uint64_t key = varint();
    const int field = static_cast<int>(key >> 3);
    if ((key & 7) == 0) {
      fields[field] = std::to_string(varint());
      continue;
    }
    const std::size_t length = (key & 7) == 1 ? 8 : (key & 7) == 5 ? 4 : varint();
    fields[field] = bytes.substr(at, length);
    at += length;
  }
  return fields;
}

TEST(TensorBoard, EventsReadBack) {
  const TempFolder folder;
  TensorBoardWriter writer(folder.path(), 5);
  writer.scalar("epoch/loss", 6.25, 300);
  writer.flush();
  EXPECT_THAT(writer.file().filename().string(), ::testing::StartsWith("events.out.tfevents."));
  const std::vector<std::string> records = records_of(read_all(writer.file()));
  ASSERT_EQ(records.size(), 3u);
  EXPECT_EQ(fields_of(records[0]).at(3), "brain.Event:2");
  EXPECT_EQ(fields_of(records[1]).at(2), "5");  // from this step on, older points are void
  EXPECT_EQ(fields_of(fields_of(records[1]).at(7)).at(1), "1");  // SessionLog.START
  EXPECT_EQ(fields_of(records[2]).at(2), "300");
  EXPECT_GT(read_at<double>(fields_of(records[2]).at(1), 0), 1.7e9);  // seconds since 1970
  const auto point = fields_of(fields_of(fields_of(records[2]).at(5)).at(1));
  EXPECT_EQ(point.at(1), "epoch/loss");
  EXPECT_EQ(read_at<float>(point.at(2), 0), 6.25F);
}

TEST(SvgChart, TicksAreRoundAndCoverTheRange) {
  EXPECT_THAT(nice_ticks(0.3, 6.7, 4), ElementsAre(0, 2, 4, 6, 8));
  EXPECT_THAT(nice_ticks(0, 100, 5), ElementsAre(0, 20, 40, 60, 80, 100));
  const std::vector<double> flat = nice_ticks(5, 5, 4);
  EXPECT_LE(flat.front(), 5);
  EXPECT_GE(flat.back(), 5);
  EXPECT_EQ(tick_label(0.03, 0.01), "0.03");
  EXPECT_EQ(tick_label(12500, 2500), "12,500");
  EXPECT_EQ(tick_label(-1234567, 1), "-1,234,567");
  EXPECT_EQ(tick_label(0, 0.5), "0.0");
}

TEST(SvgChart, DrawsALineForEachSeriesAndBreaksItAtGaps) {
  const double nan = std::nan("");
  const std::string svg = svg_figure(
      "a < b", "", "epoch",
      {{.title = "Loss",
        .unit = "",
        .series = {{"one", {{1, 2}, {2, 3}, {3, nan}, {4, 1}, {5, 2}}}, {"two", {{1, 1}}}}}});
  EXPECT_THAT(svg, HasSubstr("a &lt; b"));
  std::size_t paths = 0;
  for (std::size_t at = svg.find("<path"); at != std::string::npos; at = svg.find("<path", at + 1))
    ++paths;
  EXPECT_EQ(paths, 2u);                    // two pieces of the first series
  EXPECT_THAT(svg, HasSubstr("<circle"));  // the second is a single point
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
}

TEST(SvgChart, LogarithmicAxesPlacePowersEvenlyBetweenTheTicksAroundThem) {
  const LogAxis powers{
      {{0.1, "tenth"}, {1, "one"}, {10, "ten"}, {100, "hundred"}, {1000, "thousand"}}};
  const std::string svg = svg_figure("", "", "",
                                     {{.title = "",
                                       .unit = "",
                                       .series = {{"", {{1, 1}, {10, 10}, {100, 100}}}},
                                       .log_x = powers,
                                       .log_y = powers}});
  double x[3];
  double y[3];
  ASSERT_EQ(std::sscanf(svg.c_str() + svg.find("<path"), "<path d=\"M%lf %lf L%lf %lf L%lf %lf\"",
                        &x[0], &y[0], &x[1], &y[1], &x[2], &y[2]),
            6);
  EXPECT_NEAR(x[2] - x[1], x[1] - x[0], 0.15);
  EXPECT_NEAR(y[2] - y[1], y[1] - y[0], 0.15);
  EXPECT_LT(y[2], y[0] - 50);
  for (const char* label : {">one<", ">ten<", ">hundred<"}) EXPECT_THAT(svg, HasSubstr(label));
  for (const char* label : {"tenth", "thousand"}) EXPECT_THAT(svg, Not(HasSubstr(label)));
}

TEST(RunReporter, WaitAndPurityGoToTensorBoardAndMetrics) {
  const TempFolder folder;
  std::FILE* terminal = std::tmpfile();
  {
    RunReporter reporter(folder.path(), "title", "", terminal);
    reporter.run_started(plan_of(1));
    reporter.step_finished({.epoch = 1, .step = 10, .global_step = 10, .data_wait = 0.5});
    EpochReport report = epoch_report(1, 6.5);
    report.measures.push_back({"positive_purity", 62.5});
    report.measures.push_back({"hard_positive_purity", 31.25});
    reporter.epoch_finished(report);
  }
  std::fclose(terminal);
  std::map<std::string, float> points;
  for (const auto& file : std::filesystem::directory_iterator(folder.path())) {
    if (!file.path().filename().string().starts_with("events.")) continue;
    for (const std::string& record : records_of(read_all(file))) {
      const auto fields = fields_of(record);
      if (!fields.contains(5)) continue;
      const auto point = fields_of(fields_of(fields.at(5)).at(1));
      points[point.at(1)] = read_at<float>(point.at(2), 0);
    }
  }
  EXPECT_EQ(points.at("step/data_wait"), 0.5F);
  EXPECT_EQ(points.at("epoch/data_wait"), 0.125F);
  EXPECT_EQ(points.at("epoch/positive_purity"), 62.5F);
  EXPECT_EQ(points.at("epoch/hard_positive_purity"), 31.25F);
  const EpochReport read = read_metrics(folder / "metrics.jsonl").front();
  EXPECT_EQ(measure_or_nan(read.measures, "positive_purity"), 62.5);
  EXPECT_EQ(measure_or_nan(read.measures, "hard_positive_purity"), 31.25);
  EXPECT_EQ(read.measures.size(), 6u);
  EXPECT_THAT(read_all(folder / "curves.svg"), HasSubstr("Purity of positives"));
}

// A folder in the place of a file: it cannot be written until it is gone.
TEST(RunReporter, WhatCannotBeWrittenIsSaidOnceAndWrittenWhenItCan) {
  const TempFolder folder;
  std::FILE* terminal = std::tmpfile();
  {
    RunReporter reporter(folder / "run", "title", "lr = 0.03\n", terminal);
    reporter.run_started(plan_of(4));
    std::filesystem::remove(folder / "run/metrics.jsonl");
    std::filesystem::create_directory(folder / "run/metrics.jsonl");
    for (const int epoch : {1, 2, 3}) reporter.epoch_finished(epoch_report(epoch, 6.5));
    std::filesystem::remove(folder / "run/metrics.jsonl");
    reporter.checkpoint_written("last");
    EXPECT_EQ(read_metrics(folder / "run/metrics.jsonl").size(), 3u) << "the next checkpoint";
    reporter.epoch_finished(epoch_report(4, 6.5));
  }
  EXPECT_EQ(read_metrics(folder / "run/metrics.jsonl").size(), 4u);
  const std::string log = read_all(folder / "run/log.txt");
  const std::size_t said = log.find("the run goes on without");
  EXPECT_NE(said, std::string::npos);
  EXPECT_EQ(log.find("the run goes on without", said + 1), std::string::npos) << "said once";
  EXPECT_THAT(log, HasSubstr("metrics.jsonl: not an ordinary file"));
  std::fclose(terminal);
}

TEST(RunReporter, LeavesTheWholeRunFolder) {
  const TempFolder folder;
  std::FILE* terminal = std::tmpfile();
  {
    RunReporter reporter(folder / "run", "title", "lr = 0.03\n", terminal);
    reporter.run_started(plan_of(2));
    for (int step = 1; step <= 10; ++step)
      reporter.step_finished(
          {.epoch = 1, .step = step, .global_step = step, .images = 10, .loss = 5});
    reporter.epoch_finished(epoch_report(1, 6.5));
    EXPECT_EQ(reporter.last_epoch()->epoch, 1);
  }
  EXPECT_EQ(read_all(folder / "run/config.toml"), "lr = 0.03\n");
  EXPECT_THAT(read_all(folder / "run/log.txt"),
              HasSubstr("1/2  6.5000  5.5000  0.5000   41.00   80.00"));
  EXPECT_THAT(read_all(folder / "run/log.txt"), HasSubstr("800   12%     13 s"));
  const RunPlan plan = plan_of(2);
  EXPECT_EQ(epoch_heading(plan).size(), epoch_row(epoch_report(1, 6.5), plan).size());
  EXPECT_LE(epoch_heading(plan).size(), 80u);
  EXPECT_EQ(read_metrics(folder / "run/metrics.jsonl").size(), 1u);
  EXPECT_THAT(read_all(folder / "run/curves.svg"), HasSubstr("Weighted kNN"));
  // Not a terminal: the table, and no cursor movement.
  std::rewind(terminal);
  char text[1024] = {};
  ASSERT_GT(std::fread(text, 1, sizeof text - 1, terminal), 0u);
  EXPECT_THAT(std::string(text), HasSubstr(epoch_heading(plan) + "\n"));
  EXPECT_THAT(std::string(text), Not(HasSubstr("\x1b")));
  EXPECT_THAT(std::string(text), Not(HasSubstr("\r")));
  std::fclose(terminal);
}

TEST(Progress, LinesFitAndDropWhatMattersLeast) {
  const ProgressView view{.label = "epoch 3/40",
                          .done = 61,
                          .total = 100,
                          .detail = "loss 6.123",
                          .per_second = 712,
                          .seconds_left = 187};
  EXPECT_EQ(progress_line(view, 0, false), "epoch 3/40  61%  loss 6.123  712 images/s  3:07 left");
  const auto columns = [](const std::string& line) {
    return std::count_if(line.begin(), line.end(), [](char c) { return (c & 0xC0) != 0x80; });
  };
  for (int width = 20; width <= 120; ++width)
    EXPECT_LE(columns(progress_line(view, width, true)), width) << width;
  EXPECT_THAT(progress_line(view, 80, true), HasSubstr("loss 6.123"));
  EXPECT_THAT(progress_line(view, 45, true), Not(HasSubstr("loss")));
  EXPECT_THAT(progress_line(view, 45, true), HasSubstr("3:07 left"));
}

TEST(Progress, DurationsAndRates) {
  EXPECT_EQ(format_duration(0.42), "0.4 s");
  EXPECT_EQ(format_duration(59.7), "1:00");
  EXPECT_EQ(format_duration(187), "3:07");
  EXPECT_EQ(format_duration(7533), "2:05:33");
  EXPECT_EQ(format_rate(7.236), "7.24");
  EXPECT_EQ(format_rate(1234567), "1,234,567");
}

}  // namespace
}  // namespace invp
