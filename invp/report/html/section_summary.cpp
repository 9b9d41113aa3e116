// The final figures, one column per run.
#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

#include "engine/core/error.h"
#include "engine/core/memory.h"
#include "engine/core/text.h"
#include "invp/report/html/html.h"
#include "invp/report/html/sections.h"
#include "invp/report/text/progress.h"

namespace invp {

namespace {

std::string per_cent(double value) {
  return std::isfinite(value) ? formatted("%.2f %%", value) : "";
}
std::string loss(double value) {
  return std::isfinite(value) ? formatted("%.4f", value) : "";
}

/// Of the last epoch; NaN where it has none of this name.
double last(const RunParts& run, const char* measure) {
  return measure_or_nan(run.epochs.back().measures, measure);
}

/// "53.20 % (chance 10.0 %)". Chance: how often two images of the training set share a class.
std::string purity(const RunParts& run, double value) {
  if (run.train == nullptr || per_cent(value).empty()) return per_cent(value);
  std::map<std::int64_t, double> counts;
  for (std::int64_t i = 0; i < run.train->size(); ++i) ++counts[run.train->label(i)];
  double pairs = 0;
  double same = 0;
  for (const auto& [label, count] : counts) {
    if (label < 0) continue;
    pairs += count;
    same += count * (count - 1);
  }
  if (pairs < 2) return per_cent(value);
  return per_cent(value) + formatted(" (chance %.1f %%)", 100 * same / (pairs * (pairs - 1)));
}

const EpochReport* best_epoch(const RunParts& run) {
  const EpochReport* best = nullptr;
  for (const EpochReport& epoch : run.epochs) {
    const double* const top1 = find_measure(epoch.measures, "knn_top1");
    if (top1 != nullptr && (best == nullptr || *top1 > *find_measure(best->measures, "knn_top1")))
      best = &epoch;
  }
  return best;
}

double seconds_of(const RunParts& run) {
  double seconds = 0;
  for (const EpochReport& epoch : run.epochs)
    seconds += std::isfinite(epoch.seconds) ? epoch.seconds : 0;
  return seconds;
}

/// The mean over the epochs, weighted by their durations.
double mean_over_time(const RunParts& run, const std::function<double(const EpochReport&)>& value) {
  double sum = 0;
  double seconds = 0;
  for (const EpochReport& epoch : run.epochs) {
    if (!std::isfinite(epoch.seconds) || !std::isfinite(value(epoch))) continue;
    sum += value(epoch) * epoch.seconds;
    seconds += epoch.seconds;
  }
  return seconds > 0 ? sum / seconds : std::nan("");
}

struct Fact {
  const char* what;
  std::function<std::string(const RunParts&)> value;  ///< empty if unknown
};

std::string epochs_of(const RunParts& run) {
  for (const auto& [name, planned] : run.run->settings) {
    if (name == "epochs") return message(run.epochs.back().epoch, " of ", planned);
  }
  return std::to_string(run.epochs.back().epoch);
}

std::string best_knn(const RunParts& run) {
  const EpochReport* best = best_epoch(run);
  if (best == nullptr) return {};
  return message(per_cent(measure_or_nan(best->measures, "knn_top1")), " (epoch ", best->epoch,
                 ")");
}

std::string speed(const RunParts& run) {
  const double rate = mean_over_time(run, [](const auto& e) { return e.images_per_second; });
  return std::isfinite(rate) ? format_rate(rate) + " images/s" : "";
}

std::string wait(const RunParts& run) {
  const double share = mean_over_time(run, [](const auto& e) { return e.data_wait; });
  return std::isfinite(share) ? formatted("%.1f %%", 100 * share) : "";
}

std::string memory(const RunParts& run) {
  std::int64_t peak = 0;
  for (const EpochReport& epoch : run.epochs) peak = std::max(peak, epoch.peak_memory_bytes);
  return peak > 0 ? format_bytes(peak) : "";
}

std::string skipped(const RunParts& run) {
  const std::int64_t count = run.epochs.back().skipped_images;
  return count > 0 ? std::to_string(count) : "";
}

std::vector<Fact> facts() {
  using Run = const RunParts&;
  return {{"Epochs", epochs_of},
          {"kNN top-1, best", best_knn},
          {"kNN top-1, last", [](Run r) { return per_cent(last(r, "knn_top1")); }},
          {"kNN top-5, last", [](Run r) { return per_cent(last(r, "knn_top5")); }},
          {"Purity of positives", [](Run r) { return purity(r, last(r, "positive_purity")); }},
          {"Purity of hard ones", [](Run r) { return per_cent(last(r, "hard_positive_purity")); }},
          {"Loss, last epoch", [](Run r) { return loss(r.epochs.back().loss); }},
          {"Instance loss", [](Run r) { return loss(last(r, "loss_ins")); }},
          {"Invariance loss", [](Run r) { return loss(last(r, "loss_inv")); }},
          {"Training time", [](Run r) { return format_duration(seconds_of(r)); }},
          {"Speed", speed},
          {"Waiting for images", wait},
          {"Peak memory", memory},
          {"Unreadable images", skipped}};
}

std::string tiles_of(const RunParts& run) {
  std::string out = "<dl class=\"facts\">\n";
  for (const Fact& fact : facts()) {
    const std::string value = fact.value(run);
    if (value.empty()) continue;
    out += message("<div><dt>", fact.what, "</dt><dd>", html_escaped(value), "</dd></div>\n");
  }
  return out + "</dl>\n";
}

}  // namespace

std::string color_tag(std::size_t number, const std::string& name) {
  return message("<span class=\"run c", number % 8, "\">", html_escaped(name), "</span>\n");
}
std::string run_tag(const RunParts& run) {
  return color_tag(run.number, run.name());
}

std::string summary_section(const std::vector<RunParts>& runs) {
  const bool any =
      std::ranges::any_of(runs, [](const RunParts& run) { return !run.epochs.empty(); });
  if (!any) return {};
  if (runs.size() == 1) return tiles_of(runs[0]);
  std::string out = "<div class=\"wide\"><table>\n<tr><td></td>";
  for (const RunParts& run : runs) out += "<th scope=\"col\">" + run_tag(run) + "</th>";
  out += "</tr>\n";
  for (const Fact& fact : facts()) {
    std::string row;
    bool known = false;
    for (const RunParts& run : runs) {
      const std::string value = run.epochs.empty() ? "" : fact.value(run);
      known |= !value.empty();
      row += "<td>" + (value.empty() ? "–" : html_escaped(value)) + "</td>";
    }
    if (known) out += message("<tr><th scope=\"row\">", fact.what, "</th>", row, "</tr>\n");
  }
  return out + "</table></div>\n";
}

}  // namespace invp
