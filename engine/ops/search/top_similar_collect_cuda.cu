// The scan on tensor cores: which rows of the bank may pass the cuts.
#include <type_traits>

#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/search/similarity_mma_cuda.cuh"
#include "engine/ops/search/top_similar_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr int kMostColumns = 256;

/// Of two neighboring queries.
struct alignas(16) Limits {
  float cut[2];
  float slack[2];
};

/// What a block has found but not yet passed on.
template <int kQueries>
struct Staging {
  static constexpr int kRoom = 1024;
  Limits limits[kQueries / 2];
  Candidate candidates[kRoom];
  std::uint8_t query[kRoom];  ///< of the block's
  int count;                  ///< may exceed the room: the rest was passed on at once
  int found[kQueries];
  int place[kQueries];
};

/// The queries of a block.
struct QueryRange {
  int first;
  int count;
};

/// Rounds the queries, step by step, and finds how far off their products may be.
template <int kQueries>
__device__ void load_queries(const BankRows<float>& queries, const QueryRange& range, int steps,
                             const Cut* cuts, const CollectedRows& collected, float* to,
                             Limits (&limits)[kQueries / 2]) {
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  for (int q = static_cast<int>(threadIdx.x) / kWarp; q < kQueries; q += kMmaThreads / kWarp) {
    float squares = 0;
    for (int column = lane * kQuad; column < steps * kStepColumns; column += kWarp * kQuad) {
      const Quad quad = q < range.count ? queries.quad(range.first + q, column) : Quad{};
      Quad rounded;
#pragma unroll
      for (int j = 0; j < kQuad; ++j) {
        squares = fmaf(quad.lane[j], quad.lane[j], squares);
        rounded.lane[j] = __uint_as_float(round_to_tf32(quad.lane[j]));
      }
      const int step = column / kStepColumns;
      *reinterpret_cast<Quad*>(to + (step * kQueries + q) * kStepColumns + column % kStepColumns) =
          rounded;
    }
    squares = reduce_warp(squares, Plus{});
    if (lane != 0) continue;
    const float slack = error_factor(queries.dim) * norm_bound(squares);
    limits[q / 2].slack[q % 2] = slack;
    limits[q / 2].cut[q % 2] = q < range.count ? cuts[range.first + q].similarity : 0;
    if (q < range.count && blockIdx.y == 0) collected.slack[range.first + q] = slack;
  }
}

/// Passes on what is staged; a query's global counter moves once. All threads must call, between
/// two barriers.
template <int kQueries>
__device__ void hand_on(Staging<kQueries>& staging, const QueryRange& range,
                        const CandidateLists& lists) {
  const int staged = std::min(staging.count, int{Staging<kQueries>::kRoom});
  const int thread = static_cast<int>(threadIdx.x);
  for (int i = thread; i < staged; i += kMmaThreads) {
    atomicAdd(&staging.found[staging.query[i]], 1);
  }
  __syncthreads();
  if (thread < kQueries) {
    int& found = staging.found[thread];
    if (found > 0) staging.place[thread] = atomicAdd(&lists.found[range.first + thread], found);
    found = 0;
  }
  __syncthreads();
  for (int i = thread; i < staged; i += kMmaThreads) {
    const int query = staging.query[i];
    const int place = atomicAdd(&staging.place[query], 1);
    if (place < lists.capacity) lists.of(range.first + query)[place] = staging.candidates[i];
  }
  if (thread == 0) staging.count = 0;
}

/// A thread's products of one tile become candidates.
template <class T, int kQueries>
class TileHits {
 public:
  __device__ TileHits(const MmaProducts<T, kQueries>& products, const MmaPlace& place)
      : products_(products), place_(place) {
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        float squares = products.squares[m][half];
        squares += __shfl_xor_sync(kAllLanes, squares, 1);
        squares += __shfl_xor_sync(kAllLanes, squares, 2);
        norms_[m][half] = norm_bound(squares);
      }
    }
  }

  /// `rows` of the tile are inside the bank, and this thread's queries of `valid`, one bit per
  /// product.
  __device__ void stage(Staging<kQueries>& staging, const QueryRange& range,
                        const CandidateLists& lists, int first_row, int rows, unsigned valid) {
    unsigned hits[kRowTiles] = {};
#pragma unroll
    for (int n = 0; n < kQueryTiles<kQueries>; ++n) {
      const Limits limits = staging.limits[place_.query(n) / 2];
#pragma unroll
      for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
        for (int c = 0; c < 4; ++c) {
          const float most = fmaf(limits.slack[c % 2], norms_[m][c / 2], products_.of[m][n][c]);
          if (!(most < limits.cut[c % 2])) hits[m] |= 1U << (n * 4 + c);
        }
      }
    }
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
      hits[m] &= valid;
      if (place_.row(m, 0) >= rows) hits[m] &= 0xCCCCCCCC;
      if (place_.row(m, 1) >= rows) hits[m] &= 0x33333333;
      if (hits[m] != 0) {
        stage_row_tile(staging, range, lists, first_row + place_.row(m, 0), hits[m],
                       products_.of[m], norms_[m]);
      }
    }
  }

  /// Of the rows inside the bank.
  __device__ float longest(int rows) const {
    float longest = 0;
#pragma unroll
    for (int m = 0; m < kRowTiles; ++m) {
#pragma unroll
      for (int half = 0; half < 2; ++half) {
        if (place_.row(m, half) < rows) longest = Larger{}(longest, norms_[m][half]);
      }
    }
    return longest;
  }

 private:
  __device__ void stage_row_tile(Staging<kQueries>& staging, const QueryRange& range,
                                 const CandidateLists& lists, int row, unsigned hits,
                                 const float (&products)[kQueryTiles<kQueries>][4],
                                 const float (&norms)[2]) const {
    int place = atomicAdd(&staging.count, __popc(hits));
    // Rare: one copy of the code.
#pragma unroll 1
    for (; hits != 0; hits &= hits - 1, ++place) {
      const int hit = __ffs(static_cast<int>(hits)) - 1;
      const int n = hit / 4;
      float product = 0;
#pragma unroll
      for (int i = 0; i < kQueryTiles<kQueries> * 4; ++i) {
        product = i == hit ? products[i / 4][i % 4] : product;
      }
      const bool upper = (hit & 2) == 0;
      const int query = place_.query(n) + hit % 2;
      const float slack = staging.limits[query / 2].slack[query % 2];
      const Candidate candidate{fmaf(-slack, upper ? norms[0] : norms[1], product),
                                upper ? row : row + 8};
      if (place < Staging<kQueries>::kRoom) {
        staging.candidates[place] = candidate;
        staging.query[place] = static_cast<std::uint8_t>(query);
      } else {
        const int end = atomicAdd(&lists.found[range.first + query], 1);
        if (end < lists.capacity) lists.of(range.first + query)[end] = candidate;
      }
    }
  }

  const MmaProducts<T, kQueries>& products_;
  MmaPlace place_;
  float norms_[kRowTiles][2];
};

template <int kQueries>
__device__ unsigned valid_products(const MmaPlace& place, int queries) {
  unsigned valid = 0;
#pragma unroll
  for (int n = 0; n < kQueryTiles<kQueries>; ++n) {
    if (place.query(n) < queries) valid |= 0x5U << n * 4;
    if (place.query(n) + 1 < queries) valid |= 0xAU << n * 4;
  }
  return valid;
}

/// A block keeps to its queries, and neighboring blocks read the same rows.
template <class T, int kQueries>
__global__ void __launch_bounds__(kMmaThreads, 1)
    collect(BankRows<T> bank, int rows, BankRows<float> queries, int batch, const Cut* cuts,
            CollectedRows collected) {
  __shared__ Staging<kQueries> staging;
  const int slices = static_cast<int>((bank.dim - 1) / kSliceColumns<T>) + 1;
  const int steps = slices * kSliceSteps<T>;
  auto* const tile_queries = dynamic_shared<float>();
  auto* const stages = reinterpret_cast<T*>(tile_queries + steps * kQueries * kStepColumns);
  QueryRange range{.first = static_cast<int>(blockIdx.x) * kQueries};
  range.count = std::min(batch - range.first, kQueries);

  SliceStream<T> stream(bank, rows, stages);
  load_queries<kQueries>(queries, range, steps, cuts, collected, tile_queries, staging.limits);
  if (threadIdx.x < kQueries) staging.found[threadIdx.x] = 0;
  if (threadIdx.x == 0) staging.count = 0;

  const MmaPlace place(kQueries);
  const unsigned valid = valid_products<kQueries>(place, range.count);
  float longest = 0;
  for (std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kMmaRows; first < rows;
       first += static_cast<std::int64_t>(gridDim.y) * kMmaRows) {
    const auto first_row = static_cast<int>(first);
    const int inside = std::min(rows - first_row, int{kMmaRows});
    const bool busy = place.first_row < inside && place.first_query < range.count;
    MmaProducts<T, kQueries> products{};
    for (int slice = 0; slice < slices; ++slice) {
      const T* const tile_rows = stream.next();
      if (!busy) continue;
      products.add_slice(tile_rows, tile_queries + slice * kSliceSteps<T> * kQueries * kStepColumns,
                         place);
    }
    if (busy) {
      TileHits<T, kQueries> hits(products, place);
      hits.stage(staging, range, collected.lists, first_row, inside, valid);
      longest = Larger{}(longest, hits.longest(inside));
    }
    __syncthreads();
    if (staging.count > Staging<kQueries>::kRoom / 2) hand_on(staging, range, collected.lists);
  }
  __syncthreads();
  hand_on(staging, range, collected.lists);
  longest = reduce_warp(longest, Larger{});
  if (threadIdx.x % kWarp == 0) {
    atomicMax(collected.longest, static_cast<int>(__float_as_uint(longest)));
  }
}

template <class T, int kQueries>
void launch_collect(const Tensor& queries, const Tensor& bank, const Cut* cuts,
                    const CollectedRows& collected) {
  const Context& gpu = context(bank.device());
  const auto batch = static_cast<int>(queries.dim(0));
  const auto rows = static_cast<int>(bank.dim(0));
  const auto slices = static_cast<std::size_t>((bank.dim(1) - 1) / kSliceColumns<T> + 1);
  const int across = (batch - 1) / kQueries + 1;
  const int down = std::min((rows - 1) / kMmaRows + 1, (gpu.multiprocessors() - 1) / across + 1);
  const Grid grid{
      .blocks = dim3(static_cast<unsigned>(across), static_cast<unsigned>(down)),
      .threads = dim3(kMmaThreads),
      .shared_bytes = slices * kSliceSteps<T> * kQueries * kStepColumns * sizeof(float) +
                      std::size_t{kStages} * kMmaRows * kSliceBytes};
  launch(gpu, grid, collect<T, kQueries>, rows_of<T>(bank), rows, rows_of<float>(queries), batch,
         cuts, collected);
}

}  // namespace

bool fits_tensor_cores(const Tensor& queries, const Tensor& bank) {
  const auto aligned = [](const Tensor& matrix) {
    return reinterpret_cast<std::uintptr_t>(matrix.raw()) % 16 == 0;
  };
  const std::int64_t dim = bank.dim(1);
  return dim % 8 == 0 && dim <= kMostColumns && aligned(queries) && aligned(bank);
}

void collect_rows(const Tensor& queries, const Tensor& bank, const Cut* cuts,
                  const CollectedRows& collected) {
  // As many queries as have room in shared memory.
  constexpr int kMany = 128;
  constexpr int kFew = 64;
  const bool few = queries.dim(0) <= kFew || bank.dim(1) > kMostColumns / 2;
  dispatch_floating(bank.dtype(), "top_similar", [&]<class T>(T) {
    if (few) {
      launch_collect<T, kFew>(queries, bank, cuts, collected);
    } else {
      launch_collect<T, kMany>(queries, bank, cuts, collected);
    }
  });
}

}  // namespace invp::cuda
