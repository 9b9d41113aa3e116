// How kernels with one coefficient per channel go over a tensor of M rows of C channels. A unit is
// the few rows that a block reads at once; a block takes every stripes-th unit. Blocks that run at
// the same time are then neighbors in memory, and a pass in the other direction begins with what
// the last one left in the cache. All sizes follow from the shape alone, never from the GPU, so
// that sums are the same on every GPU.
#pragma once

#include "engine/ops/basic/channel_lanes_cuda.cuh"

namespace invp::cuda {

struct ChannelTiles {
  /// Rows of a unit that one thread reads: as many loads are under way before the first is needed.
  static constexpr int kRows = 4;
  /// Four blocks for each of the 132 multiprocessors of an H100.
  static constexpr std::int64_t kBlocks = 528;
  /// The most units of one thread, so that its f32 sums stay short.
  static constexpr std::int64_t kMostUnits = 64;

  ChannelTiles(const Tensor& x, int lanes)
      : channels(x.dim(-1)),
        rows(channels == 0 ? 0 : x.numel() / channels),
        block(channels, lanes),
        units((rows + unit_rows() - 1) / unit_rows()) {
    const std::int64_t enough =
        std::max({kBlocks / block.slices, (units + kMostUnits - 1) / kMostUnits, std::int64_t{1}});
    stripes = std::min(std::max<std::int64_t>(units, 1), enough);
  }

  std::int64_t unit_rows() const { return std::int64_t{kRows} * block.height; }

  Grid grid() const { return block.grid(stripes); }

  std::int64_t channels;
  std::int64_t rows;
  ChannelBlock block;
  std::int64_t units;
  std::int64_t stripes;
};

template <class T, int Lanes>
using RowPacks = Pack<T, Lanes>[ChannelTiles::kRows];

/// What this thread has of one unit: its channels of up to kRows rows.
template <int Lanes>
class UnitRows {
 public:
  static constexpr int kRows = ChannelTiles::kRows;

  __device__ UnitRows(const ChannelTiles& tiles, std::int64_t unit, std::int64_t channel)
      : step_(tiles.channels * blockDim.y), count_(0) {
    const std::int64_t above = unit * (kRows * blockDim.y);
    first_ = above * tiles.channels + (threadIdx.y * tiles.channels + channel);
    const std::int64_t left = tiles.rows - above;
#pragma unroll
    for (int r = 0; r < kRows; ++r) count_ += threadIdx.y + r * blockDim.y < left ? 1 : 0;
  }

  __device__ int count() const {
    return count_;
  }
  template <class T>
  __device__ void load(const T* from, RowPacks<T, Lanes>& to) const {
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r < count_) to[r] = cuda::load<Lanes>(from + first_ + r * step_);
    }
  }
  template <class T>
  __device__ void store(T* to, int r, const Pack<T, Lanes>& pack) const {
    cuda::store<Lanes>(to + first_ + r * step_, pack);
  }

 private:
  std::int64_t first_;
  std::int64_t step_;
  int count_;
};

/// Scratch for one `Partial` per channel and stripe; those of a channel are neighbors.
template <class Partial>
Tensor make_partials(const ChannelTiles& tiles, Device device) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  const auto size = static_cast<std::int64_t>(sizeof(Partial));
  return Tensor::empty({tiles.channels, tiles.stripes, size}, DType::kU8, device);
}

/// Joins what the threads of a block summed into this block's partial of every channel.
/// join(lane, column) -> Partial joins the threads column, column + blockDim.x and so on, which is
/// the order of their rows. All threads of the block must call, after they have written to shared
/// memory; this waits for them.
template <int Lanes, class Partial, class Join>
__device__ void write_partials(const ChannelTiles& tiles, Partial* partials, const Join& join) {
  __syncthreads();
  const auto width = static_cast<int>(blockDim.x);
  const auto threads = static_cast<int>(blockDim.x * blockDim.y);
  const auto thread = static_cast<int>(threadIdx.y * blockDim.x + threadIdx.x);
  for (int i = thread; i < width * Lanes; i += threads) {
    const int lane = i / width;
    const int column = i % width;
    const std::int64_t channel =
        (static_cast<std::int64_t>(blockIdx.y) * width + column) * Lanes + lane;
    if (channel < tiles.channels) {
      partials[channel * tiles.stripes + blockIdx.x] = join(lane, column);
    }
  }
}

/// The grid, and the channel of a warp, for work with one warp per channel.
inline Grid warp_per_channel(std::int64_t channels) {
  constexpr int kWarps = 8;
  return {.blocks = dim3(static_cast<unsigned>((channels + kWarps - 1) / kWarps)),
          .threads = dim3(kWarps * kWarp)};
}
__device__ inline std::int64_t channel_of_warp() {
  return thread_in_grid() / kWarp;
}

}  // namespace invp::cuda
