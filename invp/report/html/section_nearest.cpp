// The images whose bank rows are most similar to those of the anchors.
#include <algorithm>
#include <numeric>

#include "engine/core/error.h"
#include "invp/report/html/anchors.h"
#include "invp/report/html/html.h"

namespace invp {

namespace {

struct Neighbor {
  std::int64_t image = 0;
  double similarity = 0;
};

/// For each anchor the `count` most similar images without itself, the most similar first.
std::vector<std::vector<Neighbor>> nearest(const MemoryBank& bank,
                                           const std::vector<std::int64_t>& anchors, int count) {
  const std::vector<std::int32_t> own(anchors.begin(), anchors.end());
  const Tensor rows = Tensor::from(own, {std::ssize(own)});
  const TopSimilar found = bank.search(bank.take(rows), count + 1);
  const auto width = static_cast<std::size_t>(found.rows.dim(1));
  std::vector<std::vector<Neighbor>> lists;
  for (std::size_t i = 0; i < anchors.size(); ++i) {
    std::vector<Neighbor>& list = lists.emplace_back();
    for (std::size_t j = i * width; j < (i + 1) * width; ++j) {
      const std::int32_t row = found.rows.span<std::int32_t>()[j];
      if (row != own[i]) list.push_back({row, found.similarities.span<float>()[j]});
    }
    std::ranges::stable_sort(list, std::greater(), &Neighbor::similarity);
    list.resize(std::min<std::size_t>(list.size(), static_cast<std::size_t>(count)));
  }
  return lists;
}

}  // namespace

std::string nearest_section(const std::vector<RunParts>& runs, const ReportOptions& options) {
  std::string out;
  for (AnchorCards& cards : anchor_cards(runs, options.anchors)) {
    std::map<const RunParts*, std::vector<std::vector<Neighbor>>> found;
    out += cards.cards([&](const RunParts& run, std::size_t i) {
      auto [lists, fresh] = found.try_emplace(&run);
      if (fresh) lists->second = nearest(*run.bank, cards.anchors(), options.nearest);
      std::string strip = "<div class=\"strip\">";
      if (runs.size() > 1) strip += "<p>" + run_tag(run) + "</p>\n";
      strip += "<ol class=\"tiles large\">\n";
      for (const Neighbor& neighbor : lists->second[i]) {
        strip += cards.tile(neighbor.image, cards.anchors()[i], false,
                            formatted("%.2f", neighbor.similarity));
      }
      return strip + "</ol></div>\n";
    });
  }
  if (out.empty()) return out;
  return "<p class=\"quiet\">The rows of the memory bank most similar to those of sample images, "
         "which are spread evenly over the training set and not chosen by hand, each with its "
         "similarity. <span class=\"key other\"></span> marks another class.</p>\n" +
         out;
}

}  // namespace invp
