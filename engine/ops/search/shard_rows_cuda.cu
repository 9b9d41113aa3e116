#include "engine/ops/search/bank_cuda.cuh"
#include "engine/ops/search/shard_rows.h"
#include "engine/ops/search/top_similar_cuda.cuh"
#include "engine/ops/search/weighed_unit.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 128;

__global__ void own_rows(const std::int32_t* rows, std::int64_t count, Shard shard,
                         std::int32_t* own) {
  for (std::int64_t e = thread_in_grid(); e < count; e += threads_in_grid()) {
    const std::int32_t row = rows[e];
    own[e] = row >= 0 && row % shard.count == shard.index ? row / shard.count : -1;
  }
}

/// One block per query: the shards' answers as one list, in any order.
__global__ void list_answers(const std::int32_t* rows, const float* similarities, int shards,
                             int width, CandidateLists lists) {
  __shared__ int found;
  const std::int64_t batch = gridDim.x;
  const std::int64_t q = blockIdx.x;
  if (threadIdx.x == 0) found = 0;
  __syncthreads();
  for (int e = static_cast<int>(threadIdx.x); e < shards * width; e += kThreads) {
    const int shard = e / width;
    const std::int64_t from = (shard * batch + q) * width + e % width;
    if (rows[from] < 0) continue;
    lists.of(q)[atomicAdd(&found, 1)] = {similarities[from], rows[from] * shards + shard};
  }
  __syncthreads();
  if (threadIdx.x == 0) lists.found[q] = found;
}

/// Entries of a list that one block adds up.
constexpr std::int64_t kShare = 256;

/// One block per list, share of it, and columns. Integers: whichever block adds first.
template <class T>
__global__ void weigh(BankRows<T> bank, const std::int32_t* rows, const float* weights,
                      std::int64_t width, unsigned long long* sums) {
  const std::int64_t i = blockIdx.x;
  const std::int64_t first = static_cast<std::int64_t>(blockIdx.y) * kShare;
  const std::int64_t last = first + kShare < width ? first + kShare : width;
  const std::int64_t k = static_cast<std::int64_t>(blockIdx.z) * kThreads + threadIdx.x;
  if (k >= bank.dim) return;
  std::int64_t sum = 0;
  for (std::int64_t w = i * width + first; w < i * width + last; ++w) {
    if (rows[w] < 0) continue;
    sum += weighed(weights[w], static_cast<float>(bank.first[rows[w] * bank.dim + k]));
  }
  if (sum != 0) atomicAdd(sums + i * bank.dim + k, static_cast<unsigned long long>(sum));
}

__global__ void add_shards(const std::int64_t* sums, std::int64_t shards, std::int64_t count,
                           float* total) {
  for (std::int64_t e = thread_in_grid(); e < count; e += threads_in_grid()) {
    std::int64_t sum = 0;
    for (std::int64_t s = 0; s < shards; ++s) sum += sums[s * count + e];
    total[e] += static_cast<float>(static_cast<double>(sum) / kWeighedUnits);
  }
}

}  // namespace

void rows_in_shard(const Tensor& rows, Shard shard, const Tensor& own) {
  const Context& gpu = context(rows.device());
  launch(gpu, grid_for(gpu, rows.numel()), own_rows, rows.data<std::int32_t>(), rows.numel(), shard,
         own.data<std::int32_t>());
}

void merge_similar(const Tensor& rows, const Tensor& similarities, std::int64_t bank_rows,
                   const TopSimilar& best) {
  const std::int64_t batch = rows.dim(1);
  if (batch == 0) return;
  const std::int64_t capacity = rows.dim(0) * rows.dim(2);
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor candidates =
      Tensor::empty({batch, capacity, sizeof(Candidate)}, DType::kU8, rows.device());
  const Tensor found = Tensor::empty({batch}, DType::kI32, rows.device());
  const CandidateLists lists{.candidates = static_cast<Candidate*>(candidates.raw()),
                             .found = found.data<std::int32_t>(),
                             .capacity = static_cast<int>(capacity)};
  const Grid grid{.blocks = dim3(static_cast<unsigned>(batch)), .threads = dim3(kThreads)};
  launch(context(rows.device()), grid, list_answers, rows.data<std::int32_t>(),
         similarities.data<float>(), static_cast<int>(rows.dim(0)), static_cast<int>(rows.dim(2)),
         lists);
  write_best(lists, bank_rows, best.rows, best.similarities);
}

void weigh_rows(const Tensor& bank, const Tensor& rows, const Tensor& weights, const Tensor& sums) {
  if (rows.numel() == 0 || sums.numel() == 0) return;
  const auto blocks = [](std::int64_t count, std::int64_t each) {
    return static_cast<unsigned>((count + each - 1) / each);
  };
  const Grid grid{.blocks = dim3(static_cast<unsigned>(rows.dim(0)), blocks(rows.dim(1), kShare),
                                 blocks(bank.dim(1), kThreads)),
                  .threads = dim3(kThreads)};
  dispatch_floating(bank.dtype(), "weigh_rows", [&]<class T>(T) {
    launch(context(bank.device()), grid, weigh<T>, rows_of<T>(bank), rows.data<std::int32_t>(),
           weights.data<float>(), rows.dim(1), static_cast<unsigned long long*>(sums.raw()));
  });
}

void add_weighed(const Tensor& total, const Tensor& sums) {
  if (total.numel() == 0) return;
  const Context& gpu = context(total.device());
  launch(gpu, grid_for(gpu, total.numel()), add_shards, sums.data<std::int64_t>(), sums.dim(0),
         total.numel(), total.data<float>());
}

}  // namespace invp::cuda
