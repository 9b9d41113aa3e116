// The exact similarities of the rows that the scan on tensor cores collected, if they can be among
// the best.
#include "engine/core/cuda_mma.cuh"
#include "engine/ops/search/bank_cuda.cuh"
#include "engine/ops/search/radix_select_cuda.cuh"
#include "engine/ops/search/top_similar_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

constexpr int kRaiseThreads = 1024;

/// One block per query. The count-th largest of the lower bounds is one that `count` rows reach, so
/// rows that stay below it are not among the best.
__global__ void __launch_bounds__(kRaiseThreads)
    raise_cuts(CollectedRows collected, int count, std::int64_t bank_rows, Cut* cuts,
               Cut* left_over) {
  const std::int64_t q = blockIdx.x;
  const Candidate* const list = collected.lists.of(q);
  const int found = collected.lists.found[q];
  if (found < count || found > collected.lists.capacity) {
    if (threadIdx.x != 0) return;
    left_over[q] = found < count ? Cut{kNaN, 0} : cuts[q];
    cuts[q] = {kNaN, 0};
    return;
  }
  const std::uint64_t key = select_key(found, count, bank_rows, [list, bank_rows](std::int64_t i) {
    return key_of(list[i].similarity, list[i].row, bank_rows);
  });
  if (threadIdx.x != 0) return;
  const float lowest = cut_at(key, bank_rows).similarity;
  if (lowest > cuts[q].similarity) cuts[q] = {lowest, kAnyRow};
  left_over[q] = {kNaN, 0};
}

constexpr int kThreads = 256;
constexpr int kWarps = kThreads / kWarp;
constexpr int kMostColumns = 256;
/// Columns of 32 rows; a warp copies one row at a time. With the padding eight neighboring lanes,
/// each at its own row, have no bank conflicts.
constexpr int kPartBytes = 256;
constexpr int kPaddedBytes = kPartBytes + 16;
constexpr std::size_t kWarpBytes = std::size_t{kWarp} * kPaddedBytes;

/// Starts to copy columns from `first` on of each lane's row, if it is `wanted`.
template <class T>
__device__ void fetch_part(const BankRows<T>& bank, int row, bool wanted, int first,
                           std::byte* part) {
  constexpr int kLanes = kPackLanes<T>;
  constexpr int kCopies = kPartBytes / 16;  ///< per row
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  const unsigned all_wanted = __ballot_sync(kAllLanes, wanted);
  const int column = first + lane % kCopies * kLanes;
#pragma unroll
  for (int i = 0; i < kCopies; ++i) {
    const int owner = i * (kWarp / kCopies) + lane / kCopies;
    const std::int64_t its_row = __shfl_sync(kAllLanes, row, owner);
    if ((all_wanted >> owner & 1) != 0 && column < bank.dim) {
      copy_async(part + owner * kPaddedBytes + lane % kCopies * 16,
                 bank.first + its_row * bank.dim + column, true);
    }
  }
  commit_copies();
}

/// The exact similarity of this lane's row, if it is `wanted`. All lanes must call.
template <class T>
__device__ float exact_similarity(const BankRows<T>& bank, const Quad* query, int row, bool wanted,
                                  std::byte* part) {
  constexpr int kLanes = kPackLanes<T>;
  constexpr int kColumns = static_cast<int>(kPartBytes / sizeof(T));
  const int dim = static_cast<int>(bank.dim);
  const std::byte* const own = part + threadIdx.x % kWarp * kPaddedBytes;
  float sum = 0;
  for (int first = 0; first < dim; first += kColumns) {
    __syncwarp();  // the last part is used up
    fetch_part(bank, row, wanted, first, part);
    wait_for_copies<0>();
    __syncwarp();
    const int end = wanted ? std::min(kColumns, dim - first) : 0;
#pragma unroll 4
    for (int k = 0; k < end; k += kLanes) {
      const auto pack = *reinterpret_cast<const Pack<T, kLanes>*>(own + k * sizeof(T));
#pragma unroll
      for (int j = 0; j < kLanes; ++j) {
        const Quad quad = query[(first + k + j) / kQuad];
        sum = fmaf(quad.lane[j % kQuad], static_cast<float>(pack.lane[j]), sum);
      }
    }
  }
  return sum;
}

/// Adds this lane's candidate if it `passes`. All lanes must call.
__device__ void append(const CandidateLists& lists, std::int64_t query, bool passes,
                       const Candidate& candidate) {
  const unsigned passing = __ballot_sync(kAllLanes, passes);
  if (passing == 0) return;
  const int lane = static_cast<int>(threadIdx.x) % kWarp;
  int place = 0;
  if (lane == 0) place = atomicAdd(&lists.found[query], __popc(passing));
  place = __shfl_sync(kAllLanes, place, 0) + __popc(passing & ((1U << lane) - 1));
  if (passes && place < lists.capacity) lists.of(query)[place] = candidate;
}

/// Blocks (q, ...) share the rows collected for query q, a warp takes 32 at a time.
template <class T>
__global__ void __launch_bounds__(kThreads, 2)
    rescore(BankRows<float> queries, BankRows<T> bank, CollectedRows collected, const Cut* cuts,
            CandidateLists lists) {
  __shared__ Quad query[kMostColumns / kQuad];
  const std::int64_t q = blockIdx.x;
  const Cut cut = cuts[q];
  if (cut.similarity != cut.similarity) return;
  const int thread = static_cast<int>(threadIdx.x);
  if (thread * kQuad < queries.dim) query[thread] = queries.quad(q, thread * kQuad);
  __syncthreads();

  std::byte* const part = dynamic_shared<std::byte>() + thread / kWarp * kWarpBytes;
  const int found = collected.lists.found[q];
  const float slack = 2 * collected.slack[q];
  const float longest = __uint_as_float(static_cast<unsigned>(*collected.longest));
  for (int first = (static_cast<int>(blockIdx.y) * kWarps + thread / kWarp) * kWarp; first < found;
       first += static_cast<int>(gridDim.y) * kThreads) {
    const int i = first + thread % kWarp;
    const Candidate candidate = i < found ? collected.lists.of(q)[i] : Candidate{};
    const bool wanted = i < found && !(fmaf(slack, longest, candidate.similarity) < cut.similarity);
    const float similarity = exact_similarity(bank, query, candidate.row, wanted, part);
    append(lists, q, wanted && cut.passes(similarity, candidate.row), {similarity, candidate.row});
  }
}

}  // namespace

void rescore_rows(const Tensor& queries, const Tensor& bank, std::int64_t count,
                  const CollectedRows& collected, Cut* cuts, const CandidateLists& lists,
                  Cut* left_over) {
  constexpr int kMostShares = 64;
  const Context& gpu = context(bank.device());
  const auto batch = static_cast<unsigned>(queries.dim(0));
  launch(gpu, Grid{.blocks = dim3(batch), .threads = dim3(kRaiseThreads)}, raise_cuts, collected,
         static_cast<int>(count), bank.dim(0), cuts, left_over);
  const int shares = std::min((collected.lists.capacity - 1) / kThreads + 1, kMostShares);
  const Grid grid{.blocks = dim3(batch, static_cast<unsigned>(shares)),
                  .threads = dim3(kThreads),
                  .shared_bytes = kWarps * kWarpBytes};
  dispatch_floating(bank.dtype(), "top_similar", [&]<class T>(T) {
    launch(gpu, grid, rescore<T>, rows_of<float>(queries), rows_of<T>(bank), collected, cuts,
           lists);
  });
}

}  // namespace invp::cuda
