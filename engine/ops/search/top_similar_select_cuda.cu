// The kernels that read lists of similarities: one block per query.
#include "engine/ops/search/radix_select_cuda.cuh"
#include "engine/ops/search/top_similar_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr int kThreads = 1024;

__global__ void __launch_bounds__(kThreads)
    threshold(const float* similarities, std::int64_t samples, int rank, Cut* cuts) {
  const float* const own = similarities + blockIdx.x * samples;
  const std::uint64_t key = select_key(samples, rank, samples, [own, samples](std::int64_t i) {
    return key_of(own[i], i, samples);
  });
  if (threadIdx.x == 0) cuts[blockIdx.x] = {cut_at(key, samples).similarity, kAnyRow};
}

__global__ void pass_all(std::int64_t batch, Cut* cuts) {
  for (std::int64_t q = thread_in_grid(); q < batch; q += threads_in_grid()) {
    cuts[q] = {-std::numeric_limits<float>::infinity(), kAnyRow};
  }
}

/// The rows of a window of the bank as bits: a row's place among those set is the number of bits
/// set before its own. Bits belong to threads in runs of whole words.
class RowWindow {
 public:
  /// Threads begin at different banks of shared memory if the words of each are odd.
  static constexpr int kMostWords = 23;

  __device__ RowWindow(std::uint32_t* words, int words_a_thread)
      : words_(words), words_a_thread_(words_a_thread) {}

  __device__ std::int64_t rows() const {
    return static_cast<std::int64_t>(words_a_thread_) * kThreads * 32;
  }

  __device__ void clear(std::int64_t first_row) {
    first_row_ = first_row;
    for (int w = threadIdx.x; w < words_a_thread_ * kThreads; w += kThreads) words_[w] = 0;
    __syncthreads();
  }

  __device__ bool holds(std::int64_t row) const {
    return row >= first_row_ && row < first_row_ + rows();
  }

  __device__ void set(std::int64_t row) {
    const auto bit = static_cast<int>(row - first_row_);
    atomicOr(&words_[bit / 32], 1U << bit % 32);
  }

  /// After all set() and before the first place_of(). Returns how many are set.
  __device__ int count() {
    __syncthreads();
    int own = 0;
    for (int w = 0; w < words_a_thread_; ++w) {
      own += __popc(words_[static_cast<int>(threadIdx.x) * words_a_thread_ + w]);
    }
    const BlockSum sum = sum_before_in_block(own);
    before()[threadIdx.x] = sum.before;
    __syncthreads();
    return sum.total;
  }

  __device__ int place_of(std::int64_t row) const {
    const auto bit = static_cast<int>(row - first_row_);
    const int owner = bit / 32 / words_a_thread_;
    int place = before()[owner];
    for (int w = owner * words_a_thread_; w < bit / 32; ++w) place += __popc(words_[w]);
    return place + __popc(words_[bit / 32] & ((1U << bit % 32) - 1));
  }

 private:
  __device__ static int* before() {
    __shared__ int of_thread[kThreads];
    return of_thread;
  }

  std::uint32_t* words_;
  int words_a_thread_;
  std::int64_t first_row_ = 0;
};

/// Moves the candidates that pass the cut into ascending order of row, without a sort: a bitmap of
/// the bank's rows gives each its place. Large banks are done window by window.
__device__ void write_ascending(const Candidate* list, int found, Cut cut, std::int64_t bank_rows,
                                RowWindow window, std::int32_t* rows, float* similarities) {
  int written = 0;
  for (std::int64_t first = 0; first < bank_rows; first += window.rows()) {
    window.clear(first);
    const auto for_each_inside = [&](const auto& body) {
      for (int i = static_cast<int>(threadIdx.x); i < found; i += kThreads) {
        const Candidate candidate = list[i];
        if (window.holds(candidate.row) && cut.passes(candidate.similarity, candidate.row)) {
          body(candidate);
        }
      }
    };
    for_each_inside([&](const Candidate& candidate) { window.set(candidate.row); });
    const int inside = window.count();
    for_each_inside([&](const Candidate& candidate) {
      const int place = written + window.place_of(candidate.row);
      rows[place] = candidate.row;
      similarities[place] = candidate.similarity;
    });
    written += inside;
    __syncthreads();
  }
}

__global__ void __launch_bounds__(kThreads)
    select_best(CandidateLists lists, std::int64_t bank_rows, int count, int words_a_thread,
                std::int32_t* rows, float* similarities) {
  const std::int64_t q = blockIdx.x;
  const Candidate* const list = lists.of(q);
  const int found = lists.found[q];
  rows += q * count;
  similarities += q * count;
  if (found < count || found > lists.capacity) {
    for (int c = static_cast<int>(threadIdx.x); c < count; c += kThreads) {
      rows[c] = -1;
      similarities[c] = std::numeric_limits<float>::quiet_NaN();
    }
    return;
  }
  const std::uint64_t key = select_key(found, count, bank_rows, [list, bank_rows](std::int64_t i) {
    return key_of(list[i].similarity, list[i].row, bank_rows);
  });
  write_ascending(list, found, cut_at(key, bank_rows), bank_rows,
                  RowWindow(dynamic_shared<std::uint32_t>(), words_a_thread), rows, similarities);
}

Grid block_a_query(std::int64_t batch) {
  return {.blocks = dim3(static_cast<unsigned>(batch)), .threads = dim3(kThreads)};
}

}  // namespace

void choose_thresholds(const Tensor& similarities, std::int64_t rank, Cut* cuts) {
  const Context& gpu = context(similarities.device());
  const std::int64_t batch = similarities.dim(0);
  if (rank == 0) {
    launch(gpu, grid_for(gpu, batch), pass_all, batch, cuts);
  } else {
    launch(gpu, block_a_query(batch), threshold, similarities.data<float>(), similarities.dim(1),
           static_cast<int>(rank), cuts);
  }
}

void write_best(const CandidateLists& lists, std::int64_t bank_rows, const Tensor& rows,
                const Tensor& similarities) {
  constexpr std::int64_t kRowsAWord = 32 * kThreads;
  const std::int64_t words = (bank_rows + kRowsAWord - 1) / kRowsAWord;
  const int words_a_thread =
      static_cast<int>(std::min<std::int64_t>(words, RowWindow::kMostWords)) | 1;
  Grid grid = block_a_query(rows.dim(0));
  grid.shared_bytes = sizeof(std::uint32_t) * kThreads * static_cast<std::size_t>(words_a_thread);
  launch(context(rows.device()), grid, select_best, lists, bank_rows, static_cast<int>(rows.dim(1)),
         words_a_thread, rows.data<std::int32_t>(), similarities.data<float>());
}

}  // namespace invp::cuda
