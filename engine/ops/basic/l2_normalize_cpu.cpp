#include <cmath>

#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/basic/l2_normalize.h"

namespace invp::cpu {

namespace {

constexpr std::int64_t kGrain = 32;  // vectors per thread, at least

template <class T>
float dot(const T* a, const T* b, std::int64_t n) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t i = 0; i < n; ++i) {
    sum += static_cast<float>(a[i]) * static_cast<float>(b[i]);
  }
  return sum;
}

}  // namespace

void l2_normalize_forward(const Tensor& x, float eps, const Tensor& y,
                          const Tensor& inverse_length) {
  dispatch_floating(x.dtype(), "l2_normalize", [&]<class T>(T) {
    const std::int64_t depth = x.dim(-1);
    float* const inverse = inverse_length.data<float>();
    parallel_for(0, inverse_length.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* const from = x.data<T>() + i * depth;
        T* const to = y.data<T>() + i * depth;
        const float scale = 1 / std::max(std::sqrt(dot(from, from, depth)), eps);
        inverse[i] = scale;
#pragma omp simd
        for (std::int64_t d = 0; d < depth; ++d) put(to[d], static_cast<float>(from[d]) * scale);
      }
    });
  });
}

void l2_normalize_backward(const Tensor& x, float eps, const Tensor& inverse_length,
                           const Tensor& dy, const Tensor& dx) {
  dispatch_floating(x.dtype(), "l2_normalize", [&]<class T>(T) {
    const std::int64_t depth = x.dim(-1);
    const float* const inverse = inverse_length.data<float>();
    parallel_for(0, inverse_length.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const T* const from = x.data<T>() + i * depth;
        const T* const up = dy.data<T>() + i * depth;
        T* const to = dx.data<T>() + i * depth;
        const float scale = inverse[i];
        // At the floor y = x / eps, and the length no longer depends on x.
        const bool floored = scale >= 1 / eps;
        const float along = floored ? 0 : dot(from, up, depth) * scale * scale;
#pragma omp simd
        for (std::int64_t d = 0; d < depth; ++d) {
          put(to[d], (static_cast<float>(up[d]) - static_cast<float>(from[d]) * along) * scale);
        }
      }
    });
  });
}

}  // namespace invp::cpu
