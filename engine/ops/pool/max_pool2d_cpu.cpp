// Outputs and inputs are each written once, one task per row of images. Backward gathers: each
// input checks in which of the few windows around it it was the maximum. This needs no zeroing, and
// no two threads write the same element.
#include <cmath>
#include <limits>

#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/pool/max_pool2d.h"

namespace invp::cpu {

namespace {

constexpr std::int64_t kChannels =
    256;  // a block of channels: its working values stay in the first-level cache

/// total += up where the window's maximum is this input. A function of its own, which reads the
/// value before it chooses: otherwise g++ does not vectorise it.
template <class T>
void collect(const std::uint8_t* taps, std::int32_t number, const T* up, std::int64_t count,
             float* total) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) {
    const auto value = static_cast<float>(up[c]);
    total[c] += taps[c] == number ? value : 0.0F;
  }
}

template <class T>
void round_to(T* out, const float* values, std::int64_t count) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) put(out[c], values[c]);
}

}  // namespace

void max_pool2d_forward(const PoolAxis& rows, const PoolAxis& columns, const Tensor& x,
                        const Tensor& y, const Tensor& tap) {
  const std::int64_t channels = x.dim(3);
  dispatch_floating(x.dtype(), "max_pool2d", [&]<class T>(T) {
    const T* const from = x.data<T>();
    parallel_for(0, x.dim(0) * rows.out, 1, [&](std::int64_t begin, std::int64_t end) {
      alignas(64) float best[kChannels];
      alignas(64) std::int32_t winner[kChannels];
      for (std::int64_t row = begin; row < end; ++row) {
        const T* const image = from + row / rows.out * rows.in * columns.in * channels;
        const std::int64_t p = row % rows.out;
        for (std::int64_t q = 0; q < columns.out; ++q) {
          const std::int64_t at = (row * columns.out + q) * channels;
          for (std::int64_t first = 0; first < channels; first += kChannels) {
            const std::int64_t count = std::min(kChannels, channels - first);
            std::fill_n(best, count, -std::numeric_limits<float>::infinity());
            // In a window of nothing but minus infinity the first tap inside x is the maximum.
            const std::int64_t top = rows.begin(p) - (p * rows.stride - rows.padding);
            const std::int64_t left = columns.begin(q) - (q * columns.stride - columns.padding);
            std::fill_n(winner, count, static_cast<std::int32_t>(top * columns.kernel + left));
            for (std::int64_t h = rows.begin(p); h < rows.end(p); ++h) {
              for (std::int64_t w = columns.begin(q); w < columns.end(q); ++w) {
                const std::int64_t r = h - (p * rows.stride - rows.padding);
                const std::int64_t s = w - (q * columns.stride - columns.padding);
                const auto number = static_cast<std::int32_t>(r * columns.kernel + s);
                const T* const pixel = image + (h * columns.in + w) * channels + first;
#pragma omp simd
                for (std::int64_t c = 0; c < count; ++c) {
                  const auto value = static_cast<float>(pixel[c]);
                  const bool wins = value > best[c] || value != value;
                  best[c] = wins ? value : best[c];
                  winner[c] = wins ? number : winner[c];
                }
              }
            }
            T* const out = y.data<T>() + at + first;
            std::uint8_t* const out_tap = tap.data<std::uint8_t>() + at + first;
#pragma omp simd
            for (std::int64_t c = 0; c < count; ++c) {
              put(out[c], best[c]);
              out_tap[c] = static_cast<std::uint8_t>(winner[c]);
            }
          }
        }
      }
    });
  });
}

void max_pool2d_backward(const PoolAxis& rows, const PoolAxis& columns, const Tensor& tap,
                         const Tensor& dy, const Tensor& dx) {
  const std::int64_t channels = dx.dim(3);
  const bool streaming = streams(dx);
  dispatch_floating(dx.dtype(), "max_pool2d", [&]<class T>(T) {
    const std::uint8_t* const taps = tap.data<std::uint8_t>();
    const T* const up = dy.data<T>();
    parallel_for(0, dx.dim(0) * rows.in, 1, [&](std::int64_t begin, std::int64_t end) {
      alignas(64) float total[kChannels];
      alignas(64) T rounded[kChannels];
      for (std::int64_t row = begin; row < end; ++row) {
        const std::int64_t image = row / rows.in * rows.out * columns.out;
        const std::int64_t h = row % rows.in;
        for (std::int64_t w = 0; w < columns.in; ++w) {
          T* const out = dx.data<T>() + (row * columns.in + w) * channels;
          for (std::int64_t first = 0; first < channels; first += kChannels) {
            const std::int64_t count = std::min(kChannels, channels - first);
            std::fill_n(total, count, 0.0F);
            for (std::int64_t p = rows.first(h); p < rows.last(h); ++p) {
              for (std::int64_t q = columns.first(w); q < columns.last(w); ++q) {
                const std::int64_t r = h - (p * rows.stride - rows.padding);
                const std::int64_t s = w - (q * columns.stride - columns.padding);
                const auto number = static_cast<std::int32_t>(r * columns.kernel + s);
                const std::int64_t at = (image + p * columns.out + q) * channels + first;
                collect(taps + at, number, up + at, count, total);
              }
            }
            round_to(streaming ? rounded : out + first, total, count);
            if (streaming) store_past_caches(out + first, rounded, count);
          }
        }
      }
      finish_stores(streaming);
    });
  });
}

}  // namespace invp::cpu
