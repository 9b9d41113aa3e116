// The positives of the anchors: which images each step along the kNN graph discovers, and which of
// them are hard.
#include <algorithm>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "invp/report/html/anchors.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

/// N(i) by the step that discovers a member, and N^h(i).
struct Discovered {
  std::vector<std::vector<std::int32_t>> steps;
  std::set<std::int32_t> hard;
};

std::vector<std::int32_t> list_of(const Tensor& lists) {
  std::vector<std::int32_t> list;
  for (const std::int32_t row : lists.span<std::int32_t>()) {
    if (row >= 0) list.push_back(row);
  }
  return list;
}

/// Both forms of the objective reach the same images, so the steps show each image once. The hard
/// ones are chosen from the list of the run's own form, which may hold repeats.
Discovered discover(const RunParts& run, std::int64_t anchor) {
  const ObjectiveConfig& config = run.run->objective;
  const Tensor row = Tensor::from(std::vector{static_cast<std::int32_t>(anchor)}, {1});
  Discovered found;
  std::size_t before = 0;
  for (int step = 1; step <= config.steps; ++step) {
    // Breadth first: a longer walk begins with what a shorter one found.
    const std::vector<std::int32_t> all =
        list_of(run.graph->reached_from(row, step, Propagation::kDistinct));
    found.steps.emplace_back(all.begin() + static_cast<std::ptrdiff_t>(before), all.end());
    before = all.size();
  }
  const Positives positives =
      discover_positives(run.bank->take(row), row, *run.bank, *run.graph, config);
  for (const std::int32_t member : list_of(positives.hard)) found.hard.insert(member);
  return found;
}

/// "41 positives, 73 % of its class; 20 hard, 61 %"
std::string count_of(const Discovered& found, std::int64_t anchor, const AnchorCards& cards) {
  std::int64_t all = 0, same = 0, hard = 0, hard_same = 0;
  for (const auto& step : found.steps) {
    for (const std::int32_t member : step) {
      const bool is_hard = found.hard.contains(member);
      const bool is_same = cards.same_class(member, anchor);
      ++all;
      same += is_same ? 1 : 0;
      hard += is_hard ? 1 : 0;
      hard_same += is_hard && is_same ? 1 : 0;
    }
  }
  const auto share = [&](std::int64_t part, std::int64_t whole, const char* end) {
    if (!has_classes(cards.dataset()) || whole == 0) return std::string();
    return formatted(", %.0f %%", 100 * static_cast<double>(part) / static_cast<double>(whole)) +
           end;
  };
  return message(counted(all, "positive"), share(same, all, " of its class"), "; ", hard, " hard",
                 share(hard_same, hard, ""));
}

std::string strip_of(const RunParts& run, std::int64_t anchor, AnchorCards& cards, bool named,
                     std::int64_t most) {
  const Discovered found = discover(run, anchor);
  std::string out = "<div class=\"strip\">";
  if (named) out += "<p>" + run_tag(run) + "</p>\n";
  out += "<p>" + count_of(found, anchor, cards) + "</p>\n";
  std::int64_t room = most;
  for (std::size_t step = 0; step < found.steps.size(); ++step) {
    const std::int64_t members = std::ssize(found.steps[step]);
    const std::int64_t shown = std::min(members, room);
    room -= shown;
    if (members == 0) continue;
    out += message("<p>step ", step + 1, ": ", members,
                   shown < members ? message(", of which ", shown, " are shown") : "", "</p>\n",
                   "<ol class=\"tiles\">\n");
    for (std::int64_t i = 0; i < shown; ++i) {
      const std::int32_t member = found.steps[step][static_cast<std::size_t>(i)];
      out += cards.tile(member, anchor, found.hard.contains(member));
    }
    out += "</ol>\n";
  }
  return out + "</div>\n";
}

/// Says so if the run has not learned from the positives shown.
void tell_of_use(const RunParts& run, Missing& missing) {
  const ObjectiveConfig& config = run.run->objective;
  if (config.no_invariance) {
    missing.add(run, "it did not learn from its positives (--no-invariance)");
  } else if (!run.epochs.empty() &&
             config.invariance_weight(static_cast<int>(run.epochs.back().epoch)) == 0) {
    missing.add(run, message("its positives teach from epoch ", config.warm_epochs + 1,
                             " on, it stands at epoch ", run.epochs.back().epoch));
  }
}

}  // namespace

std::string positives_section(const std::vector<RunParts>& runs, const ReportOptions& options,
                              Missing& missing) {
  std::string out;
  for (AnchorCards& cards : anchor_cards(runs, options.anchors)) {
    out += cards.cards([&](const RunParts& run, std::size_t i) {
      if (i == 0) tell_of_use(run, missing);
      return strip_of(run, cards.anchors()[i], cards, runs.size() > 1, options.most_members);
    });
  }
  if (out.empty()) return out;
  return "<p class=\"quiet\">Each image is linked to its nearest ones; walks along those links "
         "discover positives, step by step. <span class=\"key\"></span> marks the hard ones, the "
         "least similar to the anchor, from which the invariance loss learns. "
         "<span class=\"key other\"></span> marks those of another class; the run does not see "
         "classes.</p>\n" +
         out;
}

}  // namespace invp
