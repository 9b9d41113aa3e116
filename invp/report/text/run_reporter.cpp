#include "invp/report/text/run_reporter.h"

#include <cstdio>
#include <ctime>

#include "engine/core/error.h"
#include "engine/core/text.h"
#include "invp/report/svg/curves.h"
#include "invp/run/measures.h"

namespace invp {

namespace {

// Steps between points in TensorBoard: few enough to see a spike, many enough for a small file.
constexpr std::int64_t kStepsBetweenPoints = 10;

std::string time_stamp() {
  const std::time_t now = std::time(nullptr);
  std::tm parts{};
  localtime_r(&now, &parts);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &parts);
  return text;
}

std::string right(const std::string& text, std::size_t width) {
  return text.size() >= width ? text : std::string(width - text.size(), ' ') + text;
}

/// Of the first column of a run that is told in steps: "96000/96000".
std::size_t step_width(const RunPlan& plan) {
  return 2 * std::to_string(plan.steps).size() + 1;
}

/// What the bar says of a step: the loss, and in detection the shares and the rate.
std::string step_detail(const StepReport& report) {
  std::string detail = "loss " + formatted("%.3f", report.loss);
  for (const char* const name : {"recall", "foreground"}) {
    if (const double* const share = find_measure(report.measures, name))
      detail += message("  ", name, formatted(" %.0f%%", *share));
  }
  if (find_measure(report.measures, "recall") != nullptr)
    detail += "  lr " + formatted("%.3g", report.learning_rate);
  return detail + "  data wait " + formatted("%.0f%%", 100 * report.data_wait);
}

}  // namespace

std::string epoch_heading(const RunPlan& plan) {
  std::string middle;
  for (const ShownMeasure& measure : plan.shown) {
    if (!measure.heading.empty()) middle += right(measure.heading, 8);
  }
  return (plan.steps > 0 ? right("step", step_width(plan)) : "   epoch") + "    loss" + middle +
         "     rate   img/s  wait     time";
}

std::string epoch_row(const EpochReport& report, const RunPlan& plan) {
  std::string middle;
  for (const ShownMeasure& measure : plan.shown) {
    if (measure.heading.empty()) continue;
    const double* const value = find_measure(report.measures, measure.name);
    const char* const format = measure.chart == "Loss" ? "%8.4f" : "%8.2f";
    middle += value != nullptr ? formatted(format, *value) : right("-", 8);
  }
  return (plan.steps > 0 ? right(message(report.global_step, '/', plan.steps), step_width(plan))
                         : right(message(report.epoch, '/', plan.epochs), 8)) +
         formatted(report.loss < 100 ? "%8.4f" : "%8.5g", report.loss) + middle +
         formatted("%9.3g", report.learning_rate) +
         right(format_rate(report.images_per_second), 8) +
         formatted("%5.0f%%", 100 * report.data_wait) + right(format_duration(report.seconds), 9);
}

RunReporter::RunReporter(std::filesystem::path folder, std::string title, std::string config_toml,
                         std::FILE* terminal)
    : folder_(std::move(folder)),
      title_(std::move(title)),
      config_toml_(std::move(config_toml)),
      progress_(terminal) {}

void RunReporter::run_started(const RunPlan& plan) {
  plan_ = plan;
  make_folders(folder_);
  write_file(folder_ / "config.toml", config_toml_);
  log_ = std::make_unique<AppendedFile>(folder_ / "log.txt");
  log_->append(early_);
  const std::int64_t first_step = (plan.first_epoch - 1) * plan.steps_per_epoch + plan.first_step;
  metrics_ = std::make_unique<MetricsWriter>(folder_ / "metrics.jsonl", plan.first_epoch);
  events_ = std::make_unique<TensorBoardWriter>(folder_, first_step);
}

void RunReporter::step_finished(const StepReport& report) {
  pace_.update(static_cast<double>(report.global_step), stopwatch_.seconds());
  const double steps_a_second = pace_.per_second();
  const bool in_steps = plan_.steps > 0;
  const auto steps_left = static_cast<double>(
      in_steps ? plan_.steps - report.global_step
               : (plan_.epochs - report.epoch + 1) * plan_.steps_per_epoch - report.step);
  const double images_a_step =
      static_cast<double>(plan_.images_per_epoch) / static_cast<double>(plan_.steps_per_epoch);
  progress_.show(
      {.label = in_steps ? "training" : message("epoch ", report.epoch, '/', plan_.epochs),
       .done = in_steps ? report.global_step : report.step,
       .total = in_steps ? plan_.steps : plan_.steps_per_epoch,
       .detail = step_detail(report),
       .per_second = steps_a_second * images_a_step,
       .seconds_left = steps_a_second > 0 ? steps_left / steps_a_second : -1});
  if (events_ && report.global_step % kStepsBetweenPoints == 0) {
    attempt("TensorBoard events", [&] {
      write_events("step/", report,
                   {{"learning_rate", report.learning_rate}, {"data_wait", report.data_wait}});
    });
  }
}

template <class Report>
void RunReporter::write_events(const std::string& prefix, const Report& report,
                               const std::vector<Measure>& fields) {
  const auto write = [&](const Measure& measure) {
    events_->scalar(prefix + measure.name, measure.value, report.global_step);
  };
  const auto write_measures = [&](bool last) {
    for (const Measure& measure : report.measures) {
      if ((place_of(measure.name) == MeasurePlace::kLast) == last) write(measure);
    }
  };
  write({"loss", report.loss});
  write_measures(false);
  for (const Measure& field : fields) write(field);
  write_measures(true);
}

void RunReporter::phase_progress(const char* phase, std::int64_t done, std::int64_t total) {
  progress_.show({.label = phase, .done = done, .total = total, .detail = {}});
}

void RunReporter::epoch_finished(const EpochReport& report) {
  // Evaluation took time between the steps, which the rate of training must not include.
  pace_ = {};
  if (!heading_printed_) progress_.line(epoch_heading(plan_)), log(epoch_heading(plan_));
  heading_printed_ = true;
  const std::string row = epoch_row(report, plan_);
  progress_.line(row);
  log(row);
  if (metrics_) {
    attempt("metrics.jsonl", [&] { metrics_->write(report); });
    attempt("curves.svg", [&] {
      write_file(folder_ / "curves.svg",
                 curves_svg(title_, metrics_->epochs(), plan_.shown, plan_.steps > 0));
    });
  }
  if (events_) {
    attempt("TensorBoard events", [&] {
      write_events("epoch/", report,
                   {{"learning_rate", report.learning_rate},
                    {"images_per_second", report.images_per_second},
                    {"data_wait", report.data_wait}});
      events_->flush();
    });
  }
}

void RunReporter::checkpoint_written(const std::string& path) {
  log("checkpoint " + path);
  if (metrics_) attempt("metrics.jsonl", [&] { metrics_->catch_up(); });
}

void RunReporter::note(const std::string& line) {
  progress_.line(printable(line));
  log(line);
}

void RunReporter::keep(const std::string& line) {
  if (!line.empty()) log(line);
}

std::optional<EpochReport> RunReporter::last_epoch() const {
  if (!metrics_ || metrics_->epochs().empty()) return std::nullopt;
  return metrics_->epochs().back();
}

void RunReporter::log(const std::string& line) {
  const std::string stamped = time_stamp() + "  " + line + '\n';
  if (log_ == nullptr) {
    early_ += stamped;
  } else {
    attempt("log.txt", [&] { log_->append(stamped); });
  }
}

void RunReporter::attempt(const std::string& file, const std::function<void()>& write) {
  try {
    write();
  } catch (const Error& error) {
    if (!not_written_.insert(file).second) return;
    const std::string line = message(error.what(), "; the run goes on without");
    progress_.line(printable(line));
    if (file != "log.txt") log(line);
  }
}

}  // namespace invp
