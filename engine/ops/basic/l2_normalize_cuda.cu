#include "engine/core/tensor.h"
#include "engine/ops/basic/l2_normalize.h"
#include "engine/ops/basic/rows_cuda.cuh"

namespace invp::cuda {

namespace {

template <class Team, class T>
__device__ float dot(const T* a, const T* b, std::int64_t depth) {
  float total = 0;
#pragma unroll 4
  for (std::int64_t d = Team::lane(); d < depth; d += Team::kThreads) {
    total += static_cast<float>(a[d]) * static_cast<float>(b[d]);
  }
  return Team::reduce(total, Plus{});
}

template <class Team, class T>
__global__ void normalize(std::int64_t rows, std::int64_t depth, float eps, const T* x, T* y,
                          float* inverse_length) {
  for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
    const T* const from = x + row * depth;
    const float length = std::sqrt(dot<Team>(from, from, depth));
    const float scale = 1 / (length < eps ? eps : length);  // NaN stays NaN
    if (Team::lane() == 0) inverse_length[row] = scale;
#pragma unroll 4
    for (std::int64_t d = Team::lane(); d < depth; d += Team::kThreads) {
      y[row * depth + d] = T(static_cast<float>(from[d]) * scale);
    }
  }
}

template <class Team, class T>
__global__ void normalize_backward(std::int64_t rows, std::int64_t depth, float eps, const T* x,
                                   const float* inverse_length, const T* dy, T* dx) {
  for (std::int64_t row = Team::first(); row < rows; row += Team::step()) {
    const T* const from = x + row * depth;
    const T* const up = dy + row * depth;
    const float scale = inverse_length[row];
    // At the floor y = x / eps, and the length no longer depends on x.
    const bool floored = scale >= 1 / eps;
    const float along = floored ? 0 : dot<Team>(from, up, depth) * scale * scale;
#pragma unroll 4
    for (std::int64_t d = Team::lane(); d < depth; d += Team::kThreads) {
      const float across = static_cast<float>(up[d]) - static_cast<float>(from[d]) * along;
      dx[row * depth + d] = T(across * scale);
    }
  }
}

}  // namespace

void l2_normalize_forward(const Tensor& x, float eps, const Tensor& y,
                          const Tensor& inverse_length) {
  const Context& gpu = context(x.device());
  const std::int64_t rows = inverse_length.numel();
  const std::int64_t depth = x.dim(-1);
  dispatch_floating(x.dtype(), "l2_normalize", [&]<class T>(T) {
    launch_rows(gpu, rows, depth, [&]<class Team>(Team, const Grid& grid) {
      launch(gpu, grid, normalize<Team, T>, rows, depth, eps, x.data<T>(), y.data<T>(),
             inverse_length.data<float>());
    });
  });
}

void l2_normalize_backward(const Tensor& x, float eps, const Tensor& inverse_length,
                           const Tensor& dy, const Tensor& dx) {
  const Context& gpu = context(x.device());
  const std::int64_t rows = inverse_length.numel();
  const std::int64_t depth = x.dim(-1);
  dispatch_floating(x.dtype(), "l2_normalize", [&]<class T>(T) {
    launch_rows(gpu, rows, depth, [&]<class Team>(Team, const Grid& grid) {
      launch(gpu, grid, normalize_backward<Team, T>, rows, depth, eps, x.data<T>(),
             inverse_length.data<float>(), dy.data<T>(), dx.data<T>());
    });
  });
}

}  // namespace invp::cuda
