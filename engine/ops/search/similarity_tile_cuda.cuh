// Inner products of a tile of bank rows with a tile of queries, in registers, and the walk of a
// grid over all tiles of a bank.
//
// A similarity is one f32 accumulator that starts at zero and takes the columns in ascending order,
// each by one fused multiplication and addition: a stated value, the one the CPU gets.
#pragma once

#include <algorithm>

#include "engine/ops/search/bank_cuda.cuh"

namespace invp::cuda {

inline constexpr int kTileRows = 128;
inline constexpr int kTileQueries = 128;
inline constexpr int kTileThreads = 256;
/// Similarities a thread holds: an 8 x 8 patch of the tile, as two times two groups of four.
inline constexpr int kPatch = 8;
inline constexpr int kPatchThreads = kTileRows / kPatch;  ///< along either side of the tile

/// This thread's number, hidden from the compiler, so that it computes offsets again for each tile:
/// kept offsets would take registers from the similarities.
__device__ inline int fresh_thread() {
  int thread = static_cast<int>(threadIdx.x);
  asm volatile("" : "+r"(thread));
  return thread;
}

/// Which lines of the tile a thread's patch holds. Neighboring threads hold neighboring rows of
/// the same queries.
class PatchLines {
 public:
  __device__ PatchLines() : thread_(fresh_thread()) {}
  __device__ int row(int r) const { return line(thread_ % kPatchThreads, r); }
  __device__ int query(int q) const { return line(thread_ / kPatchThreads, q); }

 private:
  __device__ static int line(int place, int i) {
    return (i / kQuad) * (kPatchThreads * kQuad) + place * kQuad + i % kQuad;
  }
  int thread_;
};

/// Every stride-th row of a bank, `count` in all.
template <class T>
struct RowSource {
  BankRows<T> bank;
  std::int64_t stride;
  int count;

  __device__ Quad quad(std::int64_t i, std::int64_t k) const { return bank.quad(i * stride, k); }
};

/// Columns in shared memory at a time: a thread fetches one quad of rows and one of queries.
inline constexpr int kSlice = kTileThreads * kQuad / kTileRows;

/// One slice of the tile's rows and queries, by columns. With the padding the stores of a warp have
/// no bank conflicts.
struct TileSlice {
  float rows[kSlice][kTileRows + kQuad];
  float queries[kSlice][kTileQueries + kQuad];
};

/// Where a tile lies, and how much of it is inside.
struct Tile {
  int first_row;
  int first_query;
  int rows;
  int queries;
};

/// What one thread fetches of a slice. Lines past the end of the tile repeat the last one; their
/// results are not used.
struct TileFetch {
  Quad row;
  Quad query;

  template <class T>
  __device__ void load(const RowSource<T>& source, const BankRows<float>& queries, const Tile& tile,
                       int k) {
    const int thread = fresh_thread();
    const int line = thread / 2;
    const int column = k + thread % 2 * kQuad;
    row = source.quad(tile.first_row + std::min(line, tile.rows - 1), column);
    query = queries.quad(tile.first_query + std::min(line, tile.queries - 1), column);
  }

  __device__ void store(TileSlice& slice) const {
    const int line = static_cast<int>(threadIdx.x) / 2;
    const int column = static_cast<int>(threadIdx.x) % 2 * kQuad;
#pragma unroll
    for (int j = 0; j < kQuad; ++j) {
      slice.rows[column + j][line] = row.lane[j];
      slice.queries[column + j][line] = query.lane[j];
    }
  }
};
static_assert(kTileThreads == 2 * kTileRows && kTileRows == kTileQueries && kSlice == 2 * kQuad);

struct SimilarityPatch {
  float of[kPatch][kPatch];  ///< [query][row]

  __device__ void add_column(const TileSlice& slice, int k, const PatchLines& lines) {
    float row[kPatch];
    float query[kPatch];
#pragma unroll
    for (int half = 0; half < 2; ++half) {
      const Quad r = *reinterpret_cast<const Quad*>(&slice.rows[k][lines.row(half * kQuad)]);
      const Quad q = *reinterpret_cast<const Quad*>(&slice.queries[k][lines.query(half * kQuad)]);
#pragma unroll
      for (int j = 0; j < kQuad; ++j) {
        row[half * kQuad + j] = r.lane[j];
        query[half * kQuad + j] = q.lane[j];
      }
    }
#pragma unroll
    for (int q = 0; q < kPatch; ++q) {
#pragma unroll
      for (int r = 0; r < kPatch; ++r) of[q][r] = fmaf(query[q], row[r], of[q][r]);
    }
  }
};

/// This thread's patch of the tile. All threads of the block must call.
template <class T>
__device__ SimilarityPatch similarity_tile(const RowSource<T>& source,
                                           const BankRows<float>& queries, const Tile& tile) {
  __shared__ TileSlice slices[2];
  const PatchLines lines;
  SimilarityPatch patch{};
  const int dim = static_cast<int>(queries.dim);
  TileFetch fetch;
  fetch.load(source, queries, tile, 0);
  __syncthreads();  // the last tile's slices are used up
  for (int k = 0; k < dim; k += kSlice) {
    TileSlice& slice = slices[k / kSlice % 2];
    fetch.store(slice);
    __syncthreads();
    if (k + kSlice < dim) fetch.load(source, queries, tile, k + kSlice);
    if (dim - k >= kSlice) {
#pragma unroll
      for (int column = 0; column < kSlice; ++column) patch.add_column(slice, column, lines);
    } else {
#pragma unroll 1
      for (int column = 0; column < dim - k; ++column) patch.add_column(slice, column, lines);
    }
  }
  return patch;
}

/// Hands every tile of the source to the sink, which is one of top_similar_scan_cuda.cu: a block
/// keeps to its 128 queries, and neighboring blocks read the same rows. A block whose queries the
/// sink does not need ends at once.
template <class T, class Sink>
__global__ void __launch_bounds__(kTileThreads, 2)
    scan_bank(RowSource<T> source, BankRows<float> queries, int batch, Sink sink) {
  Tile tile{.first_query = static_cast<int>(blockIdx.x) * kTileQueries};
  tile.queries = std::min(batch - tile.first_query, int{kTileQueries});
  if (!sink.wants(tile)) return;
  sink.start();
  const int tiles = (source.count - 1) / kTileRows + 1;
  for (int t = static_cast<int>(blockIdx.y); t < tiles; t += static_cast<int>(gridDim.y)) {
    tile.first_row = t * kTileRows;
    tile.rows = std::min(source.count - tile.first_row, int{kTileRows});
    const SimilarityPatch patch = similarity_tile(source, queries, tile);
    sink.take(tile, PatchLines(), patch);
  }
}

template <class T, class Sink>
void launch_scan(const Context& gpu, const RowSource<T>& source, const Tensor& queries,
                 const Sink& sink) {
  const auto batch = static_cast<int>(queries.dim(0));
  const int across = (batch - 1) / kTileQueries + 1;
  const int tiles = (source.count - 1) / kTileRows + 1;
  const int fill = (2 * gpu.multiprocessors() - 1) / across + 1;
  const Grid grid{
      .blocks = dim3(static_cast<unsigned>(across), static_cast<unsigned>(std::min(tiles, fill))),
      .threads = dim3(kTileThreads)};
  launch(gpu, grid, scan_bank<T, Sink>, source, rows_of<float>(queries), batch, sink);
}

}  // namespace invp::cuda
