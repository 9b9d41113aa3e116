#include <algorithm>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/rows.h"
#include "engine/ops/detection/match_boxes.h"
#include "engine/ops/detection/sample_labels.h"

namespace invp::cpu {

namespace {

/// Up to `most` of the rows of one kind, ascending.
std::vector<std::int32_t> draw(const RandomWords& words, std::span<const std::int32_t> labels,
                               bool positive, std::int64_t most) {
  std::vector<std::int32_t> drawn;
  for (std::size_t i = 0; i < labels.size(); ++i) {
    if (positive ? labels[i] > 0 : labels[i] == 0) drawn.push_back(static_cast<std::int32_t>(i));
  }
  if (most >= std::ssize(drawn)) return drawn;
  const auto key = [&](std::int32_t row) { return draw_key(words, row, std::ssize(labels)); };
  std::vector<std::uint64_t> keys;
  keys.reserve(drawn.size());
  for (const std::int32_t row : drawn) keys.push_back(key(row));
  if (most == 0) return {};
  std::ranges::nth_element(keys, keys.begin() + most - 1, std::greater());
  const std::uint64_t lowest = keys[static_cast<std::size_t>(most) - 1];
  std::erase_if(drawn, [&](std::int32_t row) { return key(row) < lowest; });
  return drawn;
}

}  // namespace

void sample_labels(const Tensor& labels, const SampleParams& params, const Samples& samples) {
  parallel_for(0, labels.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t picture = begin; picture < end; ++picture) {
      const std::span<const std::int32_t> all = row_of<std::int32_t>(labels, picture);
      const RandomWords words = params.words(picture);
      std::vector<std::int32_t> rows = draw(words, all, true, params.most_positives);
      const auto positives = static_cast<std::int32_t>(rows.size());
      const std::vector<std::int32_t> negatives = draw(words, all, false, params.count - positives);
      rows.insert(rows.end(), negatives.begin(), negatives.end());
      const std::span<std::int32_t> kept = row_of<std::int32_t>(samples.labels, picture);
      std::ranges::fill(kept, kNoLabel);
      for (const std::int32_t row : rows) {
        kept[static_cast<std::size_t>(row)] = all[static_cast<std::size_t>(row)];
      }
      rows.resize(static_cast<std::size_t>(params.count), -1);
      std::ranges::copy(rows, row_of<std::int32_t>(samples.rows, picture).begin());
      const std::span<std::int32_t> counts = row_of<std::int32_t>(samples.counts, picture);
      counts[0] = positives;
      counts[1] = static_cast<std::int32_t>(negatives.size());
    }
  });
}

}  // namespace invp::cpu
