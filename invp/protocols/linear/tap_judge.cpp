#include "invp/protocols/linear/tap_judge.h"

#include <algorithm>
#include <cmath>

#include "data/sets/ten_crops.h"

namespace invp {

TapJudge::TapJudge(const Dataset& dataset, TestViews views)
    : dataset_(dataset),
      views_(views),
      classes_(std::ssize(dataset.classes())),
      accuracy_(classes_) {
  if (dataset.presences(0).empty()) {
    CHECK(views != TestViews::kTenRandom,
          "[linear] ten random views are for multi-label sets; of labelled ones, take ten crops");
    return;
  }
  sums_.resize(static_cast<std::size_t>(dataset.size() * classes_));
  seen_.resize(static_cast<std::size_t>(dataset.size()));
}

void TapJudge::add(const Tensor& logits, std::span<const std::int64_t> indices) {
  CHECK(logits.rank() == 2 && logits.dim(0) == std::ssize(indices) && logits.dim(1) == classes_,
        "[linear] logits ", logits.shape(), " of ", indices.size(), " pictures of ", classes_,
        " classes");
  const bool crops = views_ == TestViews::kTenCrops;
  if (seen_.empty() && !crops) {
    std::vector<std::int64_t> labels;
    for (const std::int64_t index : indices) labels.push_back(dataset_.label(index));
    accuracy_.add(logits, labels);
    return;
  }
  const Tensor host = logits.to(kCpu);
  const auto width = static_cast<std::size_t>(classes_);
  for (std::size_t i = 0; i < indices.size(); ++i) {
    const std::span<const float> row = host.span<float>().subspan(i * width, width);
    if (seen_.empty()) {
      add_crop(row, indices[i]);
      continue;
    }
    const auto picture =
        static_cast<std::size_t>(crops ? indices[i] / TenCrops::kCrops : indices[i]);
    seen_[picture] = true;
    for (std::size_t c = 0; c < width; ++c) sums_[picture * width + c] += row[c];
  }
}

void TapJudge::add_crop(std::span<const float> row, std::int64_t index) {
  const std::int64_t crop = index % TenCrops::kCrops;
  if (crop == 0) probabilities_.assign(row.size(), 0);
  const auto largest = static_cast<double>(std::ranges::max(row));
  std::vector<double> powers;
  double total = 0;
  for (const float logit : row) {
    powers.push_back(std::exp(static_cast<double>(logit) - largest));
    total += powers.back();
  }
  for (std::size_t c = 0; c < row.size(); ++c) probabilities_[c] += powers[c] / total;
  if (crop < TenCrops::kCrops - 1) return;
  const std::vector<float> sum(probabilities_.begin(), probabilities_.end());
  const std::int64_t label = dataset_.label(index / TenCrops::kCrops);
  accuracy_.add(Tensor::from(sum, {1, classes_}), std::span(&label, 1));
}

// A picture's scores are sums of one rank's and of zeros.
void TapJudge::add_up(Communicator& ranks) {
  if (seen_.empty()) return accuracy_.add_up(ranks);
  if (ranks.alone()) return;
  const Tensor sums = Tensor::from(sums_, {std::ssize(sums_)});
  const Tensor seen =
      Tensor::from(std::vector<std::int64_t>(seen_.begin(), seen_.end()), {std::ssize(seen_)});
  ranks.all_reduce("scores", sums);
  ranks.all_reduce("pictures seen", seen);
  std::ranges::copy(sums.span<float>(), sums_.begin());
  for (std::size_t i = 0; i < seen_.size(); ++i) seen_[i] = seen.span<std::int64_t>()[i] > 0;
}

TapScore TapJudge::score() const {
  if (!seen_.empty()) return score_of_multi_label();
  return {.top1 = accuracy_.top1(), .top5 = accuracy_.top5(), .classes = {}};
}

TapScore TapJudge::score_of_multi_label() const {
  TapScore result;
  std::int64_t shown = 0;  // classes that an image has
  for (std::int64_t c = 0; c < classes_; ++c) {
    std::vector<float> scores;
    std::vector<Presence> presences;
    for (std::int64_t i = 0; i < dataset_.size(); ++i) {
      if (!seen_[static_cast<std::size_t>(i)]) continue;
      scores.push_back(sums_[static_cast<std::size_t>(i * classes_ + c)]);
      presences.push_back(dataset_.presences(i)[static_cast<std::size_t>(c)]);
    }
    shown += std::ranges::count(presences, Presence::kPresent) > 0 ? 1 : 0;
    result.classes.push_back(average_precision(scores, presences));
    result.map += result.classes.back().step;
    result.map_envelope += result.classes.back().envelope;
    result.map_eleven_point += result.classes.back().eleven_point;
  }
  // A class that no image has says nothing.
  const double share = 100.0 / static_cast<double>(std::max<std::int64_t>(shown, 1));
  result.map *= share;
  result.map_envelope *= share;
  result.map_eleven_point *= share;
  return result;
}

}  // namespace invp
