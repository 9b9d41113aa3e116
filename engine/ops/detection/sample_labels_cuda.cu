// One block a picture: a radix select over the draws, then the rows in their order.
#include "engine/ops/detection/match_boxes.h"
#include "engine/ops/detection/sample_labels.h"
#include "engine/ops/detection/select_rows_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr int kThreads = 512;

/// Writes up to `most` rows of one kind, ascending, and their labels; returns how many. All threads
/// of the block must call.
__device__ int draw(const RandomWords& words, const std::int32_t* labels, std::int64_t n,
                    bool positive, int most, std::int32_t* rows, std::int32_t* kept) {
  const auto key_at = [&](std::int64_t i) {
    const bool counts = positive ? labels[i] > 0 : labels[i] == 0;
    return counts ? draw_key(words, i, n) : 0;
  };
  const int written = select_rows(n, most, n, key_at, rows);
  for (int i = static_cast<int>(threadIdx.x); i < written; i += kThreads) {
    kept[rows[i]] = labels[rows[i]];
  }
  return written;
}

__global__ void __launch_bounds__(kThreads)
    sample_picture(const std::int32_t* labels, std::int64_t n, SampleParams params,
                   std::int32_t* rows, std::int32_t* counts, std::int32_t* kept) {
  const std::int64_t picture = blockIdx.x;
  labels += picture * n;
  kept += picture * n;
  rows += picture * params.count;
  for (std::int64_t i = threadIdx.x; i < n; i += kThreads) kept[i] = kNoLabel;
  __syncthreads();
  const RandomWords words = params.words(picture);
  const auto count = static_cast<int>(params.count);
  const int positives =
      draw(words, labels, n, true, static_cast<int>(params.most_positives), rows, kept);
  const int negatives = draw(words, labels, n, false, count - positives, rows + positives, kept);
  for (int i = positives + negatives + static_cast<int>(threadIdx.x); i < count; i += kThreads) {
    rows[i] = -1;
  }
  if (threadIdx.x == 0) {
    counts[2 * picture] = positives;
    counts[2 * picture + 1] = negatives;
  }
}

}  // namespace

void sample_labels(const Tensor& labels, const SampleParams& params, const Samples& samples) {
  if (labels.dim(0) == 0) return;
  launch(context(labels.device()), {dim3(static_cast<unsigned>(labels.dim(0))), dim3(kThreads)},
         sample_picture, labels.data<std::int32_t>(), labels.dim(1), params,
         samples.rows.data<std::int32_t>(), samples.counts.data<std::int32_t>(),
         samples.labels.data<std::int32_t>());
}

}  // namespace invp::cuda
