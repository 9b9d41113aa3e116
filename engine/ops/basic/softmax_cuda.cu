#include "engine/core/tensor.h"
#include "engine/ops/basic/softmax.h"
#include "engine/ops/basic/softmax_rows_cuda.cuh"

namespace invp::cuda {

namespace {

template <class Team, class T>
__global__ void softmax_rows(bool log, std::int64_t rows, std::int64_t classes, const T* x, T* y) {
  for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
    const T* const from = x + row * classes;
    // x - max first: the logarithm of the sum is small beside a large x.
    const float largest = row_max<Team>(from, classes);
    const float total = row_sum_exp<Team>(from, classes, largest);
    const float scale = 1 / total;
    const float shift = std::log(total);
    for (std::int64_t c = Team::lane(); c < classes; c += Team::kThreads) {
      const float below = static_cast<float>(from[c]) - largest;
      y[row * classes + c] = T(log ? below - shift : std::exp(below) * scale);
    }
  }
}

template <class Team, class T>
__global__ void softmax_rows_backward(bool log, std::int64_t rows, std::int64_t classes, const T* y,
                                      const T* dy, T* dx) {
  for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
    const T* const out = y + row * classes;
    const T* const up = dy + row * classes;
    float total = 0;
    for (std::int64_t c = Team::lane(); c < classes; c += Team::kThreads) {
      total += static_cast<float>(up[c]) * (log ? 1.0F : static_cast<float>(out[c]));
    }
    total = Team::reduce(total, Plus{});
    for (std::int64_t c = Team::lane(); c < classes; c += Team::kThreads) {
      const auto value = static_cast<float>(out[c]);
      const auto g = static_cast<float>(up[c]);
      dx[row * classes + c] = T(log ? g - std::exp(value) * total : value * (g - total));
    }
  }
}

std::int64_t rows_of(const Tensor& x) {
  return x.dim(-1) == 0 ? 0 : x.numel() / x.dim(-1);
}

}  // namespace

void softmax_forward(bool log, const Tensor& x, const Tensor& y) {
  const Context& gpu = context(x.device());
  dispatch_floating(x.dtype(), "softmax", [&]<class T>(T) {
    launch_rows(gpu, rows_of(x), x.dim(-1), [&]<class Team>(Team, const Grid& grid) {
      launch(gpu, grid, softmax_rows<Team, T>, log, rows_of(x), x.dim(-1), x.data<T>(),
             y.data<T>());
    });
  });
}

void softmax_backward(bool log, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  const Context& gpu = context(y.device());
  dispatch_floating(y.dtype(), "softmax", [&]<class T>(T) {
    launch_rows(gpu, rows_of(y), y.dim(-1), [&]<class Team>(Team, const Grid& grid) {
      launch(gpu, grid, softmax_rows_backward<Team, T>, log, rows_of(y), y.dim(-1), y.data<T>(),
             dy.data<T>(), dx.data<T>());
    });
  });
}

}  // namespace invp::cuda
