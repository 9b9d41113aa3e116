// Three steps: the order of the scores; one bit for every two boxes of which the earlier would
// suppress the later; and a walk through the order, 64 boxes at a time, by one block a picture.
#include "engine/ops/detection/box_elements.h"
#include "engine/ops/detection/nms.h"
#include "engine/ops/detection/score_order_cuda.cuh"

namespace invp::cuda {

namespace {

using Word = unsigned long long;
constexpr int kBits = 64;
constexpr int kWalkThreads = 256;

/// The boxes of B pictures in the order of their scores, (B, count).
struct Ordered {
  const Box* boxes;
  const std::int32_t* groups;  ///< null: all are one
  const std::int32_t* order;
  std::int64_t count;
  std::int64_t words;  ///< of bits, for each box
};

/// suppressed[picture][i][word]: which of 64 boxes the i-th in the order overlaps. blockIdx.x is
/// the word, .y the 64 rows, .z the picture.
__global__ void __launch_bounds__(kBits) find_overlaps(Ordered all, float limit, Word* suppressed) {
  __shared__ Box others[kBits];
  __shared__ int other_groups[kBits];
  if (blockIdx.x < blockIdx.y) return;  // only later ones are suppressed
  const std::int64_t first = blockIdx.z * all.count;
  const auto row_of = [&](std::int64_t place) {
    return place < all.count ? all.order[first + place] : -1;
  };
  const auto group_of = [&](std::int64_t row) {
    return all.groups == nullptr ? 0 : all.groups[first + row];
  };
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kBits;
  const std::int32_t other = row_of(begin + threadIdx.x);
  others[threadIdx.x] = other < 0 ? Box{0, 0, 0, 0} : all.boxes[first + other];
  other_groups[threadIdx.x] = other < 0 ? 0 : group_of(other);
  __syncthreads();

  const std::int64_t place = static_cast<std::int64_t>(blockIdx.y) * kBits + threadIdx.x;
  const std::int32_t row = row_of(place);
  if (row < 0) return;
  const Box own = all.boxes[first + row];
  const int group = group_of(row);
  Word bits = 0;
  for (int j = 0; j < kBits; ++j) {
    const bool hit = begin + j > place && other_groups[j] == group && iou(own, others[j]) > limit;
    bits |= static_cast<Word>(hit ? 1 : 0) << j;
  }
  suppressed[(first + place) * all.words + blockIdx.x] = bits;
}

/// The walk through 64 boxes by one thread: bits of the kept ones. `own[j]` are the bits that the
/// j-th of them sets among the 64.
__device__ Word keep_in_word(const std::int32_t* order, std::int64_t inside, Word dead,
                             const Word* own, std::int64_t most, std::int32_t* rows, int& count) {
  Word kept = 0;
  for (int j = 0; j < inside && count < most && order[j] >= 0; ++j) {
    if ((dead >> j & 1) != 0) continue;
    kept |= Word{1} << j;
    dead |= own[j];
    rows[count++] = order[j];
  }
  return kept;
}

__global__ void __launch_bounds__(kWalkThreads)
    walk_order(Ordered all, const Word* suppressed, std::int64_t most, std::int32_t* rows,
               std::int32_t* counts) {
  __shared__ Word own[kBits];
  __shared__ Word kept;
  __shared__ int count;
  Word* const dead = dynamic_shared<Word>();
  const std::int64_t first = blockIdx.x * all.count;
  rows += blockIdx.x * most;
  for (std::int64_t w = threadIdx.x; w < all.words; w += kWalkThreads) dead[w] = 0;
  if (threadIdx.x == 0) count = 0;
  for (std::int64_t word = 0; word < all.words; ++word) {
    const std::int64_t begin = word * kBits;
    const std::int64_t inside = all.count - begin < kBits ? all.count - begin : kBits;
    if (threadIdx.x < inside && all.order[first + begin + threadIdx.x] >= 0)
      own[threadIdx.x] = suppressed[(first + begin + threadIdx.x) * all.words + word];
    __syncthreads();
    if (threadIdx.x == 0) {
      kept = keep_in_word(all.order + first + begin, inside, dead[word], own, most, rows, count);
    }
    __syncthreads();
    if (kept == 0) continue;
    for (std::int64_t w = word + 1 + threadIdx.x; w < all.words; w += kWalkThreads) {
      Word bits = 0;
      for (Word rest = kept; rest != 0; rest &= rest - 1) {
        const int j = __ffsll(static_cast<long long>(rest)) - 1;
        bits |= suppressed[(first + begin + j) * all.words + w];
      }
      dead[w] |= bits;
    }
  }
  __syncthreads();
  if (threadIdx.x == 0) counts[blockIdx.x] = count;
  for (std::int64_t i = count + threadIdx.x; i < most; i += kWalkThreads) rows[i] = -1;
}

}  // namespace

void nms(const Tensor& boxes, const Tensor& scores, const Tensor& groups, float limit,
         const Kept& kept) {
  const std::int64_t pictures = boxes.dim(0);
  const std::int64_t n = boxes.dim(1);
  if (pictures == 0) return;
  const Context& gpu = context(boxes.device());
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor order = Tensor::empty({pictures, n}, DType::kI32, boxes.device());
  order_scores(gpu, {scores.data<float>(), nullptr, n, n}, order);
  const std::int64_t words = (n + kBits - 1) / kBits;
  const Tensor bits = Tensor::empty({pictures * n * words, static_cast<std::int64_t>(sizeof(Word))},
                                    DType::kU8, boxes.device());
  auto* const suppressed = static_cast<Word*>(bits.raw());
  const Ordered all{boxes_of(boxes), groups.defined() ? groups.data<std::int32_t>() : nullptr,
                    order.data<std::int32_t>(), n, words};
  const auto tiles = static_cast<unsigned>(words);
  if (n > 0) {
    launch(gpu, {dim3(tiles, tiles, static_cast<unsigned>(pictures)), dim3(kBits)}, find_overlaps,
           all, limit, suppressed);
  }
  Grid walk{.blocks = dim3(static_cast<unsigned>(pictures)), .threads = dim3(kWalkThreads)};
  walk.shared_bytes = static_cast<std::size_t>(words) * sizeof(Word);
  launch(gpu, walk, walk_order, all, suppressed, kept.rows.dim(1), kept.rows.data<std::int32_t>(),
         kept.counts.data<std::int32_t>());
}

}  // namespace invp::cuda
