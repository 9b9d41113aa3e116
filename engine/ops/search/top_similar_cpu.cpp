// One pass over the bank. Every query has a threshold that at least as many rows reach as it asks
// for; rows below are dropped while their similarity is still in a register
// (similarity_tile_cpu.h). The first thresholds come from a sample of the bank, aimed so that
// somewhat too many rows pass. A list that fills up anyway is cut back to its best and its
// threshold raised; a query left with too few rows is searched again without a threshold. The
// sample decides the speed, not the answer.
#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "engine/core/parallel.h"
#include "engine/ops/search/candidates_cpu.h"
#include "engine/ops/search/similarity_tile_cpu.h"
#include "engine/ops/search/top_similar.h"

namespace invp::cpu {

namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// Rows per block: 48 KB at D = 128, read from memory once and from the L2 cache for every further
/// panel.
constexpr std::int64_t kBlockRows = 16 * kTileRows;
/// How many blocks a worker takes at a time.
constexpr std::int64_t kChunkBlocks = 8;

/// Every `stride`-th row of the bank, `count` in all.
struct RowSource {
  const Tensor& bank;
  std::int64_t stride;
  std::int64_t count;

  /// Rows [begin, end) of the source, contiguous and in f32: where they lie if they can be used as
  /// they are, else in `scratch`.
  const float* block(std::int64_t begin, std::int64_t end, std::vector<float>& scratch) const {
    const std::int64_t dim = bank.dim(1);
    if (bank.dtype() == DType::kF32 && stride == 1) return bank.data<float>() + begin * dim;
    scratch.resize(static_cast<std::size_t>((end - begin) * dim));
    dispatch_floating(bank.dtype(), "top_similar", [&]<class T>(T) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* row = bank.data<T>() + i * stride * dim;
        std::transform(row, row + dim, scratch.begin() + (i - begin) * dim,
                       [](T element) { return static_cast<float>(element); });
      }
    });
    return scratch.data();
  }
};

/// The queries as a tile reads them: (panels, D, kPanel), one query per column, missing ones zero.
Tensor pack_queries(const Tensor& queries, std::span<const std::int64_t> chosen) {
  const std::int64_t dim = queries.dim(1);
  const Tensor packed = Tensor::zeros({(std::ssize(chosen) + kPanel - 1) / kPanel, dim, kPanel});
  for (std::int64_t i = 0; i < std::ssize(chosen); ++i) {
    const float* query = queries.data<float>() + chosen[static_cast<std::size_t>(i)] * dim;
    float* column = packed.data<float>() + (i / kPanel) * dim * kPanel + i % kPanel;
    for (std::int64_t k = 0; k < dim; ++k) column[k * kPanel] = query[k];
  }
  return packed;
}

/// What one worker has found: a list and a threshold for every query.
struct Worker {
  std::vector<CandidateList> found;
  std::vector<float> thresholds;  ///< +infinity for the queries that pad the last panel
  std::vector<float> rows;
  std::vector<float> scratch;
};

class Search {
 public:
  /// Looks for the `keep` rows most similar to each of the `chosen` queries among those not below
  /// its threshold.
  Search(const Tensor& queries, std::span<const std::int64_t> chosen, const RowSource& source,
         std::span<const float> thresholds, std::int64_t keep)
      : source_(source), keep_(keep), panels_(pack_queries(queries, chosen)) {
    const auto columns = static_cast<std::size_t>(panels_.dim(0) * kPanel);
    workers_.resize(static_cast<std::size_t>(num_threads()));
    for (Worker& worker : workers_) {
      worker.found.resize(columns);
      worker.thresholds.assign(thresholds.begin(), thresholds.end());
      worker.thresholds.resize(columns, kInfinity);
    }
    std::atomic<std::int64_t> next_chunk{0};
    parallel_for(0, std::ssize(workers_), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t w = begin; w < end; ++w)
        scan(workers_[static_cast<std::size_t>(w)], next_chunk);
    });
  }

  /// The candidates of one query, rows ascending: all that are left, which may be more or fewer
  /// than `keep`.
  void candidates(std::size_t query, std::vector<Candidate>& all) const {
    all.clear();
    for (const Worker& worker : workers_) {
      const std::span<Candidate> found = worker.found[query].all();
      const auto middle = static_cast<std::ptrdiff_t>(all.size());
      all.insert(all.end(), found.begin(), found.end());
      std::inplace_merge(all.begin(), all.begin() + middle, all.end(),
                         [](const Candidate& a, const Candidate& b) { return a.row < b.row; });
    }
  }

 private:
  void scan(Worker& worker, std::atomic<std::int64_t>& next_chunk) const {
    constexpr std::int64_t kChunkRows = kChunkBlocks * kBlockRows;
    while (true) {
      const std::int64_t first = next_chunk++ * kChunkRows;
      if (first >= source_.count) return;
      const std::int64_t last = std::min(first + kChunkRows, source_.count);
      for (std::int64_t begin = first; begin < last; begin += kBlockRows) {
        scan_block(worker, begin, std::min(begin + kBlockRows, last));
      }
    }
  }

  void scan_block(Worker& worker, std::int64_t begin, std::int64_t end) const {
    const std::int64_t dim = source_.bank.dim(1);
    const float* rows = source_.block(begin, end, worker.rows);
    for (std::int64_t p = 0; p < panels_.dim(0); ++p) {
      CandidateList* found = worker.found.data() + p * kPanel;
      float* thresholds = worker.thresholds.data() + p * kPanel;
      similarity_rows(rows, end - begin, dim, panels_.data<float>() + p * kPanel * dim, thresholds,
                      [&](std::int64_t row, int column, float similarity) {
                        CandidateList& list = found[column];
                        list.push(similarity,
                                  static_cast<std::int32_t>((begin + row) * source_.stride));
                        if (list.size() >= 2 * keep_) {
                          thresholds[column] = cut_back(list, worker.scratch);
                        }
                      });
    }
  }

  // The rows still to come have higher indices, so an equal similarity would lose: the next float
  // up is enough to pass.
  float cut_back(CandidateList& list, std::vector<float>& scratch) const {
    const float lowest = keep_best(list.all(), keep_, scratch);
    list.truncate(keep_);
    return std::nextafter(lowest, kInfinity);
  }

  RowSource source_;
  std::int64_t keep_;
  Tensor panels_;
  std::vector<Worker> workers_;
};

/// For each query, a similarity that very probably `count` rows of the bank reach and not many more
/// do; -infinity where the bank is too small for a sample to pay.
std::vector<float> estimate_thresholds(const Tensor& queries, std::span<const std::int64_t> all,
                                       const Tensor& bank, std::int64_t count) {
  constexpr std::int64_t kMostSamples = 16384;
  constexpr std::int64_t kFewestSamples = 256;
  constexpr std::int64_t kRowsASample = 32;
  std::vector<float> thresholds(all.size(), -kInfinity);

  const std::int64_t rows = bank.dim(0);
  const std::int64_t wanted = std::min(rows / kRowsASample, kMostSamples);
  if (wanted < kFewestSamples) return thresholds;
  const std::int64_t stride = rows / wanted;
  const std::int64_t samples = rows / stride;
  // About `expected` of the samples are among the best `count`, give or take its root: four roots
  // more leave a chance of some 1 in 30,000 that a query has to be searched again.
  const double expected =
      static_cast<double>(count) * static_cast<double>(samples) / static_cast<double>(rows);
  const auto rank = static_cast<std::int64_t>(expected + 4 * std::sqrt(expected) + 4);
  if (rank > samples * 3 / 4) return thresholds;

  const Search search(queries, all, RowSource{bank, stride, samples}, thresholds, rank);
  std::vector<Candidate> candidates;
  std::vector<float> scratch;
  for (std::size_t q = 0; q < all.size(); ++q) {
    search.candidates(q, candidates);
    if (std::ssize(candidates) >= rank) thresholds[q] = keep_best(candidates, rank, scratch);
  }
  return thresholds;
}

/// Writes the answers of `chosen` queries; returns those of them that had too few candidates.
std::vector<std::int64_t> select(const Search& search, std::span<const std::int64_t> chosen,
                                 const Tensor& rows, const Tensor& similarities) {
  const std::int64_t count = rows.dim(1);
  std::vector<std::uint8_t> short_of(chosen.size(), 0);
  parallel_for(0, std::ssize(chosen), 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Candidate> candidates;
    std::vector<float> scratch;
    for (std::int64_t i = begin; i < end; ++i) {
      const auto query = static_cast<std::size_t>(i);
      search.candidates(query, candidates);
      if (std::ssize(candidates) < count) {
        short_of[query] = 1;
        continue;
      }
      keep_best(candidates, count, scratch);
      std::int32_t* row = rows.data<std::int32_t>() + chosen[query] * count;
      float* similarity = similarities.data<float>() + chosen[query] * count;
      for (std::int64_t c = 0; c < count; ++c) {
        row[c] = candidates[static_cast<std::size_t>(c)].row;
        similarity[c] = candidates[static_cast<std::size_t>(c)].similarity;
      }
    }
  });
  std::vector<std::int64_t> again;
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    if (short_of[i] != 0) again.push_back(chosen[i]);
  }
  return again;
}

}  // namespace

void top_similar(const Tensor& queries, const Tensor& bank, const Tensor& rows,
                 const Tensor& similarities) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  const std::int64_t count = rows.dim(1);
  std::vector<std::int64_t> open(static_cast<std::size_t>(queries.dim(0)));
  std::iota(open.begin(), open.end(), 0);
  const RowSource whole{bank, 1, bank.dim(0)};

  std::vector<float> thresholds = estimate_thresholds(queries, open, bank, count);
  open = select(Search(queries, open, whole, thresholds, count), open, rows, similarities);
  if (open.empty()) return;
  thresholds.assign(open.size(), -kInfinity);
  open = select(Search(queries, open, whole, thresholds, count), open, rows, similarities);
  CHECK(open.empty(), "[top_similar] query ", open.front(), " has fewer than ", count,
        " similarities that are numbers: NaN in the query or in the bank");
}

}  // namespace invp::cpu
