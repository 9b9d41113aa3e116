// Mean and variance of every channel from the sums that came with a convolution: one block a
// channel, nearly all of which have nothing to read.
#include <cmath>

#include "engine/core/cuda_reduce.cuh"
#include "engine/ops/norm/batch_norm_cuda.cuh"

namespace invp::cuda {

namespace {

constexpr unsigned kThreads = 256;
/// With r = |mean| / deviation, the variance is off by 1 + r^2 + 2 r sqrt(1 + r^2) times what the
/// sums are: 194 times at r^2 = 64. Beyond, the channel is read.
constexpr double kFurthest = 64;

/// The channel's deviations from `mean`, in double. It lies apart from its neighbors in memory, so
/// this reads whole sectors for single elements; it is for the few.
template <class T>
__device__ void read_channel(const T* x, std::int64_t rows, std::int64_t channels,
                             std::int64_t channel, double& mean, double& squares) {
  double first = 0;
  double second = 0;
  for (std::int64_t row = threadIdx.x; row < rows; row += blockDim.x) {
    const double away = static_cast<double>(static_cast<float>(x[row * channels + channel])) - mean;
    first += away;
    second += away * away;
  }
  first = reduce_block(first, Plus());
  second = reduce_block(second, Plus());
  const double offset = first / static_cast<double>(rows);
  mean += offset;
  squares = fmax(second - first * offset, 0.0);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    finish(std::int64_t rows, std::int64_t channels, BatchNormParams params, const float* sums,
           const T* x, StatisticsOut out) {
  const std::int64_t channel = blockIdx.x;
  const auto count = static_cast<double>(rows);
  double mean = sums[channel] / count;
  const double far = count * mean * mean;
  double squares = sums[channels + channel] - far;
  if (far > kFurthest * squares) read_channel(x, rows, channels, channel, mean, squares);
  if (threadIdx.x == 0) out.write(channel, params, mean, squares, count);
}

}  // namespace

void statistics_from_sums(const Tensor& x, const Tensor& sums, const BatchNormParams& params,
                          const StatisticsOut& out) {
  const std::int64_t channels = x.dim(-1);
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    launch(context(x.device()),
           {.blocks = dim3(static_cast<unsigned>(channels)), .threads = dim3(kThreads)}, finish<T>,
           x.numel() / channels, channels, params, sums.data<float>(), x.data<T>(), out);
  });
}

}  // namespace invp::cuda
