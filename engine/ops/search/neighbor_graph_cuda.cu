// One block per list. Sums over the block give each entry its place, so that the answer is the
// CPU's, entry by entry.
#include <algorithm>
#include <bit>
#include <limits>

#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/search/candidates_cuda.cuh"
#include "engine/ops/search/neighbor_graph.h"
#include "engine/ops/search/radix_select_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr int kThreads = 128;

Grid block_a_list(std::int64_t lists, int threads = kThreads) {
  return {.blocks = dim3(static_cast<unsigned>(lists)),
          .threads = dim3(static_cast<unsigned>(threads))};
}

__device__ void fill(std::int32_t* list, std::int64_t begin, std::int64_t end) {
  for (std::int64_t w = begin + threadIdx.x; w < end; w += blockDim.x) list[w] = -1;
}

/// Appends the threads' entries to a list of `written` entries, in the order of the threads; -1 is
/// no entry. Returns the list's new length. A barrier.
__device__ std::int64_t append(std::int32_t entry, std::int32_t* list, std::int64_t written) {
  const BlockSum places = sum_before_in_block(entry >= 0 ? 1 : 0);
  if (entry >= 0) list[written + places.before] = entry;
  __syncthreads();
  return written + places.total;
}

/// Which rows a walk has seen, with the number of the edge that led to each first: open addressing
/// in a table of a power of two, larger than all the rows that may come.
struct Seen {
  struct Slot {
    int row;  ///< -1: free
    int edge;
  };
  Slot* slots;
  std::int64_t mask;

  __device__ void clear() const {
    for (std::int64_t s = threadIdx.x; s <= mask; s += kThreads) {
      slots[s] = {-1, std::numeric_limits<int>::max()};
    }
    __syncthreads();
  }

  __device__ Slot& slot_of(int row) const {
    constexpr unsigned kGoldenRatio = 0x9E3779B1;  // spreads runs of rows over the table
    std::int64_t s = static_cast<unsigned>(row) * kGoldenRatio >> 7 & mask;
    while (true) {
      const int before = atomicCAS(&slots[s].row, -1, row);
      if (before == -1 || before == row) return slots[s];
      s = (s + 1) & mask;
    }
  }

  /// For all threads at once: the row if no edge of a lower number leads there, else -1.
  __device__ int admit(int row, int edge) const {
    if (row >= 0) atomicMin(&slot_of(row).edge, edge);
    __syncthreads();
    return row >= 0 && slot_of(row).edge == edge ? row : -1;
  }
};

/// Breadth first, kThreads edges at a time; what was written last is where the next level starts.
/// With a table of rows seen each is written once.
template <class Admit>
__device__ void walk(const std::int32_t* graph, std::int64_t neighbors, std::int32_t start,
                     int steps, const Admit& admit, std::int32_t* reached, std::int64_t width) {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  int edge = 0;
  for (int step = 0; step < steps; ++step) {
    const std::int64_t from_start = step == 0 ? 1 : 0;
    const std::int64_t edges = (end - begin + from_start) * neighbors;
    std::int64_t written = end;
    for (std::int64_t first = 0; first < edges; first += kThreads, edge += kThreads) {
      const std::int64_t e = first + threadIdx.x;
      std::int32_t next = -1;
      if (e < edges) {
        const std::int64_t from = step == 0 ? start : reached[begin + e / neighbors];
        next = graph[from * neighbors + e % neighbors];
      }
      written = append(admit(next, edge + static_cast<int>(threadIdx.x)), reached, written);
    }
    begin = end;
    end = written;
  }
  fill(reached, end, width);
}

__global__ void __launch_bounds__(kThreads)
    walk_repeated(const std::int32_t* graph, std::int64_t neighbors, const std::int32_t* indices,
                  int steps, std::int32_t* positives, std::int64_t width) {
  const std::int64_t i = blockIdx.x;
  const auto always = [](int row, int) { return row; };
  walk(graph, neighbors, indices[i], steps, always, positives + i * width, width);
}

/// The table is in `tables` if there is one, else in shared memory.
__global__ void __launch_bounds__(kThreads)
    walk_distinct(const std::int32_t* graph, std::int64_t neighbors, const std::int32_t* indices,
                  int steps, std::int32_t* positives, std::int64_t width, Seen::Slot* tables,
                  std::int64_t slots) {
  const std::int64_t i = blockIdx.x;
  const Seen seen{tables != nullptr ? tables + i * slots : dynamic_shared<Seen::Slot>(), slots - 1};
  seen.clear();
  if (threadIdx.x == 0) seen.slot_of(indices[i]).edge = -1;
  __syncthreads();
  const auto once = [&seen](int row, int edge) { return seen.admit(row, edge); };
  walk(graph, neighbors, indices[i], steps, once, positives + i * width, width);
}

/// The key by which an entry of a list is chosen, larger for the better; 0 for one that is not
/// there.
struct ChoiceKey {
  const std::int32_t* rows;
  const float* similarities;
  float sign;
  std::int64_t width;

  __device__ std::uint64_t operator()(std::int64_t w) const {
    if (rows[w] < 0) return 0;
    const std::uint64_t key = key_of(sign * similarities[w], w, width + 1);
    return key != 0 ? key : static_cast<std::uint64_t>(width - w);  // NaN is taken last
  }
};

__global__ void __launch_bounds__(kThreads)
    choose(const std::int32_t* positives, const float* similarities, std::int64_t width, float sign,
           std::int32_t* chosen, std::int64_t count) {
  const std::int64_t i = blockIdx.x;
  const ChoiceKey key{positives + i * width, similarities + i * width, sign, width};
  int own = 0;
  for (std::int64_t w = threadIdx.x; w < width; w += kThreads) own += key.rows[w] >= 0 ? 1 : 0;
  const int present = sum_before_in_block(own).total;
  std::uint64_t lowest = 1;
  if (present > count) {
    lowest = select_key(width, static_cast<int>(count), width + 1, key);
  }
  std::int32_t* const out = chosen + i * count;
  std::int64_t written = 0;
  for (std::int64_t first = 0; first < width; first += kThreads) {
    const std::int64_t w = first + threadIdx.x;
    written = append(w < width && key(w) >= lowest ? key.rows[w] : -1, out, written);
  }
  fill(out, written, count);
}

/// Takes the best of a list one after another, each the largest key below the last: enough for
/// graphs, which have few neighbors.
constexpr int kWideThreads = 512;

__global__ void __launch_bounds__(kWideThreads)
    nearest(const std::int32_t* rows, const float* similarities, std::int64_t width,
            const std::int32_t* indices, std::int64_t neighbors, bool replace_in_place,
            std::int32_t* out) {
  constexpr std::int64_t kRows = std::int64_t{1} << 31;
  const std::int64_t i = blockIdx.x;
  const std::int32_t self = indices[i];
  rows += i * width;
  similarities += i * width;
  out += i * neighbors;
  fill(out, 0, neighbors);
  __syncthreads();

  const std::int64_t best = neighbors + 1 < width ? neighbors + 1 : width;
  std::int64_t self_place = -1;
  std::uint64_t last = std::numeric_limits<std::uint64_t>::max();
  for (std::int64_t place = 0; place < best; ++place) {
    std::uint64_t largest = 0;
#pragma unroll 4
    for (std::int64_t w = threadIdx.x; w < width; w += kWideThreads) {
      const std::uint64_t key = key_of(similarities[w], rows[w], kRows);
      if (key < last && largest < key) largest = key;
    }
    last = reduce_block(largest, Larger{});
    if (last == 0) return;
    const auto row =
        static_cast<std::int32_t>(kRows - 1 - static_cast<std::int64_t>(last & 0xFFFFFFFFU));
    std::int64_t to = place;
    if (row == self) {
      self_place = place;
      continue;
    }
    if (self_place >= 0)
      to = replace_in_place ? (place == best - 1 ? self_place : place) : place - 1;
    if (threadIdx.x == 0 && to < neighbors) out[to] = row;
  }
}

/// One warp per index; of repeats the last is written.
__global__ void __launch_bounds__(kThreads)
    set_rows(std::int32_t* graph, std::int64_t neighbors, const std::int32_t* indices,
             std::int64_t batch, const std::int32_t* from, const std::int32_t* halted) {
  const std::int64_t own = thread_in_grid() / kWarp;
  if (own >= batch || (halted != nullptr && *halted != 0)) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const std::int32_t index = indices[own];
  for (std::int64_t first = own + 1; first < batch; first += kWarp) {
    const std::int64_t other = first + lane;
    if (__any_sync(kAllLanes, other < batch && indices[other] == index)) return;
  }
  for (std::int64_t k = lane; k < neighbors; k += kWarp) {
    graph[index * neighbors + k] = from[own * neighbors + k];
  }
}

}  // namespace

void propagate(const Tensor& graph, const Tensor& indices, int steps, Propagation propagation,
               const Tensor& positives) {
  if (positives.numel() == 0) return;
  const Context& gpu = context(graph.device());
  const std::int64_t width = positives.dim(1);
  Grid grid = block_a_list(indices.dim(0));
  if (propagation == Propagation::kRepeated) {
    launch(gpu, grid, walk_repeated, graph.data<std::int32_t>(), graph.dim(1),
           indices.data<std::int32_t>(), steps, positives.data<std::int32_t>(), width);
    return;
  }
  constexpr std::size_t kMostShared = 48 << 10;
  const std::int64_t rows = std::min(width, graph.dim(0)) + 1;
  const auto slots = static_cast<std::int64_t>(std::bit_ceil(static_cast<std::uint64_t>(2 * rows)));
  const std::size_t bytes = static_cast<std::size_t>(slots) * sizeof(Seen::Slot);
  const bool shared = bytes <= kMostShared;
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor tables = Tensor::empty(
      {shared ? 0 : indices.dim(0), static_cast<std::int64_t>(bytes)}, DType::kU8, graph.device());
  if (shared) grid.shared_bytes = bytes;
  launch(gpu, grid, walk_distinct, graph.data<std::int32_t>(), graph.dim(1),
         indices.data<std::int32_t>(), steps, positives.data<std::int32_t>(), width,
         shared ? nullptr : static_cast<Seen::Slot*>(tables.raw()), slots);
}

void choose_positives(const Tensor& positives, const Tensor& similarities, PositiveChoice choice,
                      const Tensor& chosen) {
  if (chosen.numel() == 0) return;
  const float sign = choice == PositiveChoice::kLeastSimilar ? -1.0F : 1.0F;
  launch(context(positives.device()), block_a_list(positives.dim(0)), choose,
         positives.data<std::int32_t>(), similarities.data<float>(), positives.dim(1), sign,
         chosen.data<std::int32_t>(), chosen.dim(1));
}

void nearest_neighbors(const Tensor& rows, const Tensor& similarities, const Tensor& indices,
                       bool replace_in_place, const Tensor& neighbors) {
  if (neighbors.numel() == 0) return;
  launch(context(rows.device()), block_a_list(rows.dim(0), kWideThreads), nearest,
         rows.data<std::int32_t>(), similarities.data<float>(), rows.dim(1),
         indices.data<std::int32_t>(), neighbors.dim(1), replace_in_place,
         neighbors.data<std::int32_t>());
}

void set_neighbors(const Tensor& graph, const Tensor& indices, const Tensor& neighbors,
                   const Tensor& halted) {
  if (neighbors.numel() == 0) return;
  const std::int64_t batch = indices.dim(0);
  launch(context(graph.device()), block_a_list((batch * kWarp + kThreads - 1) / kThreads), set_rows,
         graph.data<std::int32_t>(), graph.dim(1), indices.data<std::int32_t>(), batch,
         neighbors.data<std::int32_t>(), halted.defined() ? halted.data<std::int32_t>() : nullptr);
}

}  // namespace invp::cuda
