#include "engine/core/tensor.h"
#include "engine/ops/basic/softmax_rows_cuda.cuh"
#include "engine/ops/loss/cross_entropy.h"

namespace invp::cuda {

namespace {

template <class Team, class T>
__global__ void log_sum_exp_rows(std::int64_t rows, std::int64_t classes, const T* x,
                                 float* log_sum_exp) {
  for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
    const T* const logits = x + row * classes;
    const float largest = row_max<Team>(logits, classes);
    const float total = row_sum_exp<Team>(logits, classes, largest);
    if (Team::lane() == 0) log_sum_exp[row] = largest + std::log(total);
  }
}

/// One block. A label that is no class makes the count NaN, and with it everything that follows.
template <class T>
__global__ void average(std::int64_t rows, std::int64_t classes, const T* x,
                        const std::int64_t* labels, const float* log_sum_exp, float* weight,
                        float* loss) {
  double total = 0;
  double counted = 0;
  for (std::int64_t row = threadIdx.x; row < rows; row += blockDim.x) {
    const std::int64_t label = labels[row];
    if (label == kIgnoredLabel) continue;
    if (label < 0 || label >= classes) {
      counted = std::numeric_limits<double>::quiet_NaN();
      continue;
    }
    total += log_sum_exp[row] - static_cast<float>(x[row * classes + label]);
    counted += 1;
  }
  total = reduce_block(total, Plus{});
  counted = reduce_block(counted, Plus{});
  if (threadIdx.x == 0) {
    *weight = 1 / static_cast<float>(counted);
    *loss = static_cast<float>(total / counted);
  }
}

template <class Team, class T>
__global__ void gradient_rows(std::int64_t rows, std::int64_t classes, const T* x,
                              const std::int64_t* labels, const float* log_sum_exp,
                              const float* weight, const float* dy, T* dx) {
  const float scale = *weight * *dy;
  for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
    const std::int64_t label = labels[row];
    const float shift = log_sum_exp[row];
    for (std::int64_t c = Team::lane(); c < classes; c += Team::kThreads) {
      const float probability = std::exp(static_cast<float>(x[row * classes + c]) - shift);
      const float slope = (probability - (c == label ? 1.0F : 0.0F)) * scale;
      dx[row * classes + c] = T(label == kIgnoredLabel ? 0.0F : slope);
    }
  }
}

}  // namespace

void cross_entropy_forward(const Tensor& x, const Tensor& labels, const Tensor& log_sum_exp,
                           const Tensor& weight, const Tensor& loss) {
  const Context& gpu = context(x.device());
  const std::int64_t rows = x.dim(0);
  const std::int64_t classes = x.dim(1);
  dispatch_floating(x.dtype(), "cross_entropy", [&]<class T>(T) {
    launch_rows(gpu, rows, classes, [&]<class Team>(Team, const Grid& grid) {
      launch(gpu, grid, log_sum_exp_rows<Team, T>, rows, classes, x.data<T>(),
             log_sum_exp.data<float>());
    });
    launch(gpu, {dim3(1), dim3(kRowThreads)}, average<T>, rows, classes, x.data<T>(),
           labels.data<std::int64_t>(), log_sum_exp.data<float>(), weight.data<float>(),
           loss.data<float>());
  });
}

void cross_entropy_backward(const Tensor& x, const Tensor& labels, const Tensor& log_sum_exp,
                            const Tensor& weight, const Tensor& dy, const Tensor& dx) {
  const Context& gpu = context(x.device());
  const std::int64_t rows = x.dim(0);
  const std::int64_t classes = x.dim(1);
  dispatch_floating(x.dtype(), "cross_entropy", [&]<class T>(T) {
    launch_rows(gpu, rows, classes, [&]<class Team>(Team, const Grid& grid) {
      launch(gpu, grid, gradient_rows<Team, T>, rows, classes, x.data<T>(),
             labels.data<std::int64_t>(), log_sum_exp.data<float>(), weight.data<float>(),
             dy.data<float>(), dx.data<T>());
    });
  });
}

}  // namespace invp::cuda
