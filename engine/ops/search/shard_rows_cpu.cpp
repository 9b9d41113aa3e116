#include <algorithm>
#include <limits>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/rows.h"
#include "engine/ops/search/candidates_cpu.h"
#include "engine/ops/search/shard_rows.h"
#include "engine/ops/search/weighed_unit.h"

namespace invp::cpu {

void rows_in_shard(const Tensor& rows, Shard shard, const Tensor& own) {
  std::ranges::transform(
      rows.span<std::int32_t>(), own.span<std::int32_t>().begin(), [shard](std::int32_t row) {
        return row >= 0 && row % shard.count == shard.index ? row / shard.count : -1;
      });
}

void merge_similar(const Tensor& rows, const Tensor& similarities, std::int64_t /*bank_rows*/,
                   const TopSimilar& best) {
  const std::int64_t shards = rows.dim(0);
  const std::int64_t batch = rows.dim(1);
  const std::int64_t width = rows.dim(2);
  const std::int64_t count = best.rows.dim(1);
  parallel_for(0, batch, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Candidate> all;
    std::vector<float> scratch;
    for (std::int64_t i = begin; i < end; ++i) {
      all.clear();
      for (std::int64_t s = 0; s < shards; ++s) {
        const std::int64_t first = (s * batch + i) * width;
        const auto middle = static_cast<std::ptrdiff_t>(all.size());
        for (std::int64_t w = first; w < first + width; ++w) {
          const std::int32_t row = rows.data<std::int32_t>()[w];
          if (row >= 0)
            all.push_back(
                {similarities.data<float>()[w], static_cast<std::int32_t>(row * shards + s)});
        }
        std::inplace_merge(all.begin(), all.begin() + middle, all.end(),
                           [](const Candidate& a, const Candidate& b) { return a.row < b.row; });
      }
      const auto out_rows = row_of<std::int32_t>(best.rows, i);
      const auto out_similarities = row_of<float>(best.similarities, i);
      if (std::ssize(all) < count) {
        std::ranges::fill(out_rows, -1);
        std::ranges::fill(out_similarities, std::numeric_limits<float>::quiet_NaN());
        continue;
      }
      keep_best(all, count, scratch);
      for (std::size_t c = 0; c < out_rows.size(); ++c) {
        out_rows[c] = all[c].row;
        out_similarities[c] = all[c].similarity;
      }
    }
  });
}

void weigh_rows(const Tensor& bank, const Tensor& rows, const Tensor& weights, const Tensor& sums) {
  const std::int64_t dim = bank.dim(1);
  dispatch_floating(bank.dtype(), "weigh_rows", [&]<class T>(T) {
    parallel_for(0, rows.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        std::int64_t* const sum = sums.data<std::int64_t>() + i * dim;
        const auto list = row_of<std::int32_t>(rows, i);
        const auto weight = row_of<float>(weights, i);
        for (std::size_t w = 0; w < list.size(); ++w) {
          if (list[w] < 0) continue;
          const T* const row = bank.data<T>() + list[w] * dim;
          for (std::int64_t k = 0; k < dim; ++k)
            sum[k] += weighed(weight[w], static_cast<float>(row[k]));
        }
      }
    });
  });
}

void add_weighed(const Tensor& total, const Tensor& sums) {
  const std::int64_t count = total.numel();
  for (std::int64_t e = 0; e < count; ++e) {
    std::int64_t sum = 0;
    for (std::int64_t s = 0; s < sums.dim(0); ++s) sum += sums.data<std::int64_t>()[s * count + e];
    total.data<float>()[e] += static_cast<float>(static_cast<double>(sum) / kWeighedUnits);
  }
}

}  // namespace invp::cpu
