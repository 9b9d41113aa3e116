#include "engine/core/parallel.h"
#include "engine/ops/basic/softmax.h"
#include "engine/ops/basic/softmax_rows_cpu.h"

namespace invp::cpu {

namespace {

/// Calls body(offset of the row) for every row of C classes.
template <class Body>
void for_each_row(const Tensor& x, const Body& body) {
  const std::int64_t classes = x.dim(-1);
  if (classes == 0) return;
  const std::int64_t grain = 1 + 2048 / classes;
  parallel_for(0, x.numel() / classes, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) body(row * classes);
  });
}

}  // namespace

void softmax_forward(bool log, const Tensor& x, const Tensor& y) {
  const std::int64_t classes = x.dim(-1);
  dispatch_floating(x.dtype(), "softmax", [&]<class T>(T) {
    for_each_row(x, [&](std::int64_t row) {
      const T* const from = x.data<T>() + row;
      T* const to = y.data<T>() + row;
      // x - max first: the logarithm of the sum is small beside a large x.
      const float largest = row_max(from, classes);
      float total = 0;
      for (std::int64_t c = 0; c < classes; ++c) {
        total += std::exp(static_cast<float>(from[c]) - largest);
      }
      const float scale = 1 / total;
      const float shift = std::log(total);
      for (std::int64_t c = 0; c < classes; ++c) {
        const float below = static_cast<float>(from[c]) - largest;
        to[c] = T(log ? below - shift : std::exp(below) * scale);
      }
    });
  });
}

void softmax_backward(bool log, const Tensor& y, const Tensor& dy, const Tensor& dx) {
  const std::int64_t classes = y.dim(-1);
  dispatch_floating(y.dtype(), "softmax", [&]<class T>(T) {
    for_each_row(y, [&](std::int64_t row) {
      const T* const out = y.data<T>() + row;
      const T* const up = dy.data<T>() + row;
      T* const to = dx.data<T>() + row;
      float total = 0;
#pragma omp simd reduction(+ : total)
      for (std::int64_t c = 0; c < classes; ++c) {
        total += static_cast<float>(up[c]) * (log ? 1.0F : static_cast<float>(out[c]));
      }
      for (std::int64_t c = 0; c < classes; ++c) {
        const auto value = static_cast<float>(out[c]);
        const auto g = static_cast<float>(up[c]);
        to[c] = T(log ? g - std::exp(value) * total : value * (g - total));
      }
    });
  });
}

}  // namespace invp::cpu
