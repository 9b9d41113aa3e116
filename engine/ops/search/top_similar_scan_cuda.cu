// The kernels that read the bank, and what they do with a tile of similarities.
#include "engine/ops/search/radix_select_cuda.cuh"
#include "engine/ops/search/similarity_tile_cuda.cuh"
#include "engine/ops/search/top_similar_cuda.cuh"

namespace invp::cuda {

namespace {

/// Does any query of the tile satisfy the condition? The same in every warp.
template <class Condition>
__device__ bool any_query(const Tile& tile, const Condition& condition) {
  bool any = false;
  for (int q = static_cast<int>(threadIdx.x) % kWarp; q < tile.queries; q += kWarp) {
    any = any || condition(tile.first_query + q);
  }
  return __any_sync(kAllLanes, any);
}

/// Writes all similarities.
struct StoreAll {
  float* similarities;
  std::int64_t rows;

  __device__ bool wants(const Tile&) const { return true; }
  __device__ void start() const {}

  __device__ void take(const Tile& tile, const PatchLines& lines,
                       const SimilarityPatch& patch) const {
    float* const corner =
        similarities + static_cast<std::int64_t>(tile.first_query) * rows + tile.first_row;
#pragma unroll
    for (int q = 0; q < kPatch; ++q) {
      float* const line = corner + lines.query(q) * rows;
#pragma unroll
      for (int r = 0; r < kPatch; ++r) {
        const bool inside = lines.query(q) < tile.queries && lines.row(r) < tile.rows;
        if (inside) line[lines.row(r)] = patch.of[q][r];
      }
    }
  }
};

/// Lists what passes the cut of its query. The tile counts in shared memory what it will write, so
/// that a query's global counter moves once per tile.
struct ListPassing {
  const Cut* cuts;
  CandidateLists lists;

  struct Counters {
    int found[kTileQueries];
    int place[kTileQueries];  ///< in the list, of the first found
  };
  __device__ static Counters& counters() {
    __shared__ Counters of_block;
    return of_block;
  }

  __device__ bool wants(const Tile& tile) const {
    return any_query(tile, [this](int q) { return cuts[q].similarity == cuts[q].similarity; });
  }

  __device__ void start() const {
    if (threadIdx.x < kTileQueries) counters().found[threadIdx.x] = 0;
  }

  __device__ void take(const Tile& tile, const PatchLines& lines,
                       const SimilarityPatch& patch) const {
    unsigned passed[kPatch / 4] = {};  // one bit per similarity
#pragma unroll
    for (int q = 0; q < kPatch; ++q) {
      const int query = lines.query(q);
      if (query >= tile.queries) continue;
      const unsigned rows = rows_passing(tile, lines, cuts[tile.first_query + query], patch.of[q]);
      if (rows != 0) atomicAdd(&counters().found[query], __popc(rows));
      passed[q / 4] |= rows << q % 4 * kPatch;
    }
    reserve_places(tile);
#pragma unroll
    for (int q = 0; q < kPatch; ++q) {
      const unsigned rows = passed[q / 4] >> q % 4 * kPatch & ((1U << kPatch) - 1);
      if (rows != 0) write(tile, lines, lines.query(q), rows, patch.of[q]);
    }
  }

  __device__ static unsigned rows_passing(const Tile& tile, const PatchLines& lines, const Cut& cut,
                                          const float (&similarities)[kPatch]) {
    unsigned passed = 0;
#pragma unroll
    for (int r = 0; r < kPatch; ++r) {
      const int row = lines.row(r);
      if (row < tile.rows && cut.passes(similarities[r], tile.first_row + row)) passed |= 1U << r;
    }
    return passed;
  }

  __device__ void write(const Tile& tile, const PatchLines& lines, int query, unsigned passed,
                        const float (&similarities)[kPatch]) const {
    int place = atomicAdd(&counters().place[query], __popc(passed));
    Candidate* const list = lists.of(tile.first_query + query);
    // Rare: one copy of the code, so that its addresses take no registers.
#pragma unroll 1
    for (; passed != 0 && place < lists.capacity; passed &= passed - 1, ++place) {
      const int row = __ffs(static_cast<int>(passed)) - 1;
      float similarity = similarities[0];
#pragma unroll
      for (int r = 1; r < kPatch; ++r) similarity = r == row ? similarities[r] : similarity;
      list[place] = {similarity, tile.first_row + lines.row(row)};
    }
  }

  __device__ void reserve_places(const Tile& tile) const {
    __syncthreads();
    const int q = static_cast<int>(threadIdx.x);
    if (q < tile.queries) {
      int& found = counters().found[q];
      if (found > 0) {
        counters().place[q] = atomicAdd(&lists.found[tile.first_query + q], found);
      }
      found = 0;
    }
    __syncthreads();
  }
};

/// What is known of the key that `count` rows of the bank reach: its digits so far, and how many of
/// the keys that begin with them belong to the count; none once the key is found.
struct OpenSearch {
  std::uint64_t key;
  int keep;
};

/// Counts, for each query still open, the next digit of the keys that begin with those known.
struct CountDigit {
  const OpenSearch* searches;
  int* counts;  ///< (B, kBins)
  Digit digit;
  std::int64_t rows;

  __device__ bool wants(const Tile& tile) const {
    return any_query(tile, [this](int q) { return searches[q].keep > 0; });
  }
  __device__ void start() const {}

  __device__ void take(const Tile& tile, const PatchLines& lines,
                       const SimilarityPatch& patch) const {
#pragma unroll
    for (int q = 0; q < kPatch; ++q) {
      if (lines.query(q) >= tile.queries) continue;
      const std::int64_t query = tile.first_query + lines.query(q);
      const OpenSearch search = searches[query];
      if (search.keep == 0) continue;
#pragma unroll
      for (int r = 0; r < kPatch; ++r) {
        if (lines.row(r) >= tile.rows) continue;
        const std::uint64_t key = key_of(patch.of[q][r], tile.first_row + lines.row(r), rows);
        if (key != 0 && digit.same_above(key, search.key)) {
          atomicAdd(&counts[query * kBins + digit.of(key)], 1);
        }
      }
    }
  }
};

/// One block per query.
__global__ void open_searches(CandidateLists lists, int count, OpenSearch* searches, int* counts,
                              Cut* cuts) {
  const std::int64_t q = blockIdx.x;
  const int found = lists.found[q];
  const bool open = found < count || found > lists.capacity;
  __syncthreads();
  if (threadIdx.x == 0) {
    searches[q] = {0, open ? count : 0};
    cuts[q] = {std::numeric_limits<float>::quiet_NaN(), 0};
    if (open) lists.found[q] = 0;
  }
  if (!open) return;
  for (unsigned bin = threadIdx.x; bin < kBins; bin += blockDim.x) counts[q * kBins + bin] = 0;
}

/// One block per query: takes the digit counted and clears the counts.
__global__ void take_digit(OpenSearch* searches, int* counts, Digit digit, bool last,
                           std::int64_t rows, Cut* cuts) {
  const std::int64_t q = blockIdx.x;
  OpenSearch search = searches[q];
  if (search.keep == 0) return;
  const BinChoice choice = choose_bin(counts + q * kBins, search.keep);
  for (unsigned bin = threadIdx.x; bin < kBins; bin += blockDim.x) counts[q * kBins + bin] = 0;
  if (threadIdx.x != 0) return;
  if (choice.bin < 0) {  // NaN leaves fewer keys than the count
    search.keep = 0;
  } else {
    search.key |= static_cast<std::uint64_t>(choice.bin) << digit.lower;
    search.keep -= choice.above;
    if (last || choice.inside == search.keep) {
      cuts[q] = cut_at(search.key, rows);
      search.keep = 0;
    }
  }
  searches[q] = search;
}

template <class Sink>
void scan(const Tensor& queries, const Tensor& bank, std::int64_t stride, std::int64_t count,
          const Sink& sink) {
  const Context& gpu = context(bank.device());
  dispatch_floating(bank.dtype(), "top_similar", [&]<class T>(T) {
    launch_scan(gpu, RowSource<T>{rows_of<T>(bank), stride, static_cast<int>(count)}, queries,
                sink);
  });
}

}  // namespace

void sample_bank(const Tensor& queries, const Tensor& bank, std::int64_t stride,
                 const Tensor& similarities) {
  const std::int64_t samples = similarities.dim(1);
  scan(queries, bank, stride, samples, StoreAll{similarities.data<float>(), samples});
}

void list_rows(const Tensor& queries, const Tensor& bank, const Cut* cuts,
               const CandidateLists& lists) {
  scan(queries, bank, 1, bank.dim(0), ListPassing{cuts, lists});
}

void find_exact_cuts(const Tensor& queries, const Tensor& bank, std::int64_t count,
                     const CandidateLists& lists, Cut* cuts) {
  const Context& gpu = context(bank.device());
  const std::int64_t batch = queries.dim(0);
  const std::int64_t rows = bank.dim(0);
  const Tensor counts = Tensor::empty({batch, kBins}, DType::kI32, bank.device());
  const Tensor storage = Tensor::empty({batch, sizeof(OpenSearch)}, DType::kU8, bank.device());
  auto* const searches = static_cast<OpenSearch*>(storage.raw());
  const Grid block_a_query{.blocks = dim3(static_cast<unsigned>(batch)), .threads = dim3(256)};
  launch(gpu, block_a_query, open_searches, lists, static_cast<int>(count), searches,
         counts.data<int>(), cuts);
  for (Digit digit = kFirstDigit; digit.upper > 0; digit = next_digit(digit, rows)) {
    scan(queries, bank, 1, rows, CountDigit{searches, counts.data<int>(), digit, rows});
    launch(gpu, block_a_query, take_digit, searches, counts.data<int>(), digit,
           next_digit(digit, rows).upper == 0, rows, cuts);
  }
}

}  // namespace invp::cuda
