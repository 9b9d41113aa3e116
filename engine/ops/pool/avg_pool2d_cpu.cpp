#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/pool/avg_pool2d.h"

namespace invp::cpu {

namespace {

constexpr std::int64_t kChannels =
    256;  // a block of channels: its sums stay in the first-level cache

/// 1 / the divisor of the window of output (p, q).
float weight(const PoolAxis& rows, const PoolAxis& columns, std::int64_t p, std::int64_t q) {
  const std::int64_t divisor =
      rows.adaptive ? (rows.end(p) - rows.begin(p)) * (columns.end(q) - columns.begin(q))
                    : rows.kernel * columns.kernel;
  return 1 / static_cast<float>(divisor);
}

template <class T>
void add_scaled(float* total, const T* values, float scale, std::int64_t count) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) total[c] += static_cast<float>(values[c]) * scale;
}

template <class T>
void round_to(T* out, const float* values, float scale, std::int64_t count) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) put(out[c], values[c] * scale);
}

}  // namespace

void avg_pool2d_forward(const PoolAxis& rows, const PoolAxis& columns, const Tensor& x,
                        const Tensor& y) {
  const std::int64_t channels = x.dim(3);
  const std::int64_t blocks = (channels + kChannels - 1) / kChannels;
  dispatch_floating(x.dtype(), "avg_pool2d", [&]<class T>(T) {
    // Channel blocks are tasks too, so that global pooling of one image keeps every thread busy.
    const std::int64_t tasks = x.dim(0) * rows.out * blocks;
    parallel_for(0, tasks, 1, [&](std::int64_t begin, std::int64_t end) {
      alignas(64) float total[kChannels];
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t row = task / blocks;
        const std::int64_t p = row % rows.out;
        const std::int64_t first = task % blocks * kChannels;
        const std::int64_t count = std::min(kChannels, channels - first);
        const T* const image =
            x.data<T>() + row / rows.out * rows.in * columns.in * channels + first;
        for (std::int64_t q = 0; q < columns.out; ++q) {
          std::fill_n(total, count, 0.0F);
          for (std::int64_t h = rows.begin(p); h < rows.end(p); ++h) {
            for (std::int64_t w = columns.begin(q); w < columns.end(q); ++w) {
              add_scaled(total, image + (h * columns.in + w) * channels, 1, count);
            }
          }
          round_to(y.data<T>() + (row * columns.out + q) * channels + first, total,
                   weight(rows, columns, p, q), count);
        }
      }
    });
  });
}

void avg_pool2d_backward(const PoolAxis& rows, const PoolAxis& columns, const Tensor& dy,
                         const Tensor& dx) {
  const std::int64_t channels = dx.dim(3);
  const bool streaming = streams(dx);
  dispatch_floating(dx.dtype(), "avg_pool2d", [&]<class T>(T) {
    parallel_for(0, dx.dim(0) * rows.in, 1, [&](std::int64_t begin, std::int64_t end) {
      alignas(64) float total[kChannels];
      alignas(64) T rounded[kChannels];
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t h = row % rows.in;
        const T* const image = dy.data<T>() + row / rows.in * rows.out * columns.out * channels;
        for (std::int64_t w = 0; w < columns.in; ++w) {
          T* const out = dx.data<T>() + (row * columns.in + w) * channels;
          for (std::int64_t first = 0; first < channels; first += kChannels) {
            const std::int64_t count = std::min(kChannels, channels - first);
            std::fill_n(total, count, 0.0F);
            for (std::int64_t p = rows.first(h); p < rows.last(h); ++p) {
              for (std::int64_t q = columns.first(w); q < columns.last(w); ++q) {
                add_scaled(total, image + (p * columns.out + q) * channels + first,
                           weight(rows, columns, p, q), count);
              }
            }
            round_to(streaming ? rounded : out + first, total, 1, count);
            if (streaming) store_past_caches(out + first, rounded, count);
          }
        }
      }
      finish_stores(streaming);
    });
  });
}

}  // namespace invp::cpu
