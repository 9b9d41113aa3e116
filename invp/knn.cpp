#include "invp/knn.h"

#include <algorithm>
#include <cmath>

#include "engine/core/parallel.h"
#include "engine/ops/top_similar.h"

namespace invp {

namespace {

/// Queries a search: enough to read the bank seldom, few enough for their panels to stay in the L2
/// cache.
constexpr std::int64_t kBlock = 512;

std::int64_t class_count(std::span<const std::int64_t> labels, const KnnConfig& config) {
  CHECK(config.k >= 1, "[knn] k must be at least 1, got ", config.k);
  CHECK(!config.taus.empty(), "[knn] needs at least one tau");
  for (const double tau : config.taus) CHECK(tau > 0, "[knn] tau must be positive, got ", tau);
  CHECK(!labels.empty(), "[knn] the bank is empty");
  const auto [least, most] = std::ranges::minmax(labels);
  const std::int64_t classes = config.classes > 0 ? config.classes : most + 1;
  CHECK(least >= 0 && most < classes, "[knn] labels reach from ", least, " to ", most,
        ", but there are ", classes, " classes");
  return classes;
}

/// How many classes come before `label` in the order of their scores.
std::int64_t rank_of(std::int64_t label, std::span<const float> scores) {
  const float own = scores[static_cast<std::size_t>(label)];
  std::int64_t before = 0;
  for (std::int64_t c = 0; c < std::ssize(scores); ++c) {
    const float score = scores[static_cast<std::size_t>(c)];
    before += score > own || (score == own && c < label) ? 1 : 0;
  }
  return before;
}

}  // namespace

Tensor knn_scores(const Tensor& queries, const Tensor& bank, std::span<const std::int64_t> labels,
                  const KnnConfig& config) {
  const std::int64_t classes = class_count(labels, config);
  CHECK(std::ssize(labels) == bank.dim(0), "[knn] ", labels.size(), " labels for a bank of ",
        bank.shape());
  const TopSimilar top = top_similar(queries.to(bank.device()), bank, config.k);
  const Tensor rows = top.rows.to(kCpu);
  const Tensor similarities = top.similarities.to(kCpu);
  const std::int64_t batch = rows.dim(0);
  const std::int64_t k = rows.dim(1);

  Tensor scores = Tensor::zeros({std::ssize(config.taus), batch, classes});
  constexpr std::int64_t kGrain = 16;
  parallel_for(0, batch, kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::int32_t* row = rows.data<std::int32_t>() + i * k;
      const float* similarity = similarities.data<float>() + i * k;
      CHECK(row[0] >= 0, "[knn] query ", i, " has fewer than ", k,
            " similarities that are numbers: NaN in the query or in the bank");
      const float highest = *std::max_element(similarity, similarity + k);
      for (std::size_t t = 0; t < config.taus.size(); ++t) {
        float* score = scores.data<float>() + (static_cast<std::int64_t>(t) * batch + i) * classes;
        for (std::int64_t j = 0; j < k; ++j) {
          const double vote =
              std::exp((static_cast<double>(similarity[j]) - highest) / config.taus[t]);
          score[labels[static_cast<std::size_t>(row[j])]] += static_cast<float>(vote);
        }
      }
    }
  });
  return scores;
}

std::vector<KnnAccuracy> knn_classify(const Tensor& queries,
                                      std::span<const std::int64_t> query_labels,
                                      const Tensor& bank, std::span<const std::int64_t> labels,
                                      const KnnConfig& config) {
  CHECK(queries.rank() == 2 && queries.dim(0) == std::ssize(query_labels) && !query_labels.empty(),
        "[knn] ", query_labels.size(), " labels for queries ", queries.shape());
  const std::int64_t count = queries.dim(0);
  std::vector<KnnAccuracy> accuracy(config.taus.size());
  for (std::int64_t begin = 0; begin < count; begin += kBlock) {
    const std::int64_t end = std::min(begin + kBlock, count);
    const Tensor scores = knn_scores(queries.slice(begin, end), bank, labels, config);
    const std::int64_t classes = scores.dim(2);
    for (std::size_t t = 0; t < accuracy.size(); ++t) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int64_t label = query_labels[static_cast<std::size_t>(i)];
        CHECK(label >= 0 && label < classes, "[knn] query label ", label, " of ", classes,
              " classes");
        const auto offset = static_cast<std::size_t>(
            (static_cast<std::int64_t>(t) * (end - begin) + i - begin) * classes);
        const std::int64_t rank =
            rank_of(label, scores.span<float>().subspan(offset, static_cast<std::size_t>(classes)));
        accuracy[t].top1 += rank < 1 ? 1 : 0;
        accuracy[t].top5 += rank < 5 ? 1 : 0;
      }
    }
  }
  for (KnnAccuracy& result : accuracy) {
    result.top1 *= 100.0 / static_cast<double>(count);
    result.top5 *= 100.0 / static_cast<double>(count);
  }
  return accuracy;
}

}  // namespace invp
