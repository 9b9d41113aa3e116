// Mean and variance of every channel in one pass over x.
//
// A block of rows is summed in f32 around a shift s, the mean of its first 16 rows: D = sum(x - s),
// E = sum (x - s)^2. Its mean is s + D/n and its squared deviations are E - D^2/n. The subtraction
// loses little for any data: by Cauchy-Schwarz (s - mean)^2 <= (E - D^2/n) / 16, so E is
// at most 1 + n/16 times the difference. Blocks join in double by the rule of Chan, Golub and
// LeVeque (1979), in block order, so the result does not depend on the number of threads.
#include <cmath>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/norm/batch_norm.h"
#include "engine/ops/norm/channel_tiles_cpu.h"

namespace invp::cpu {

namespace {

constexpr std::int64_t kShiftRows = 16;

/// Mean and sum of squared deviations of each block and channel: (blocks, C) each.
struct Partials {
  explicit Partials(const ChannelTiles& tiles)
      : mean(static_cast<std::size_t>(tiles.blocks() * tiles.channels())), squares(mean.size()) {}
  std::vector<double> mean;
  std::vector<double> squares;
};

template <class T>
void block_sums(const ChannelTiles& tiles, const T* x, std::int64_t rows, float* shift,
                float* first, float* second) {
  const std::int64_t channels = tiles.channels();
  const std::int64_t shift_rows = std::min(rows, kShiftRows);
  std::fill_n(shift, channels, 0.0F);
  for (std::int64_t row = 0; row < shift_rows; ++row) {
#pragma omp simd
    for (std::int64_t c = 0; c < channels; ++c)
      shift[c] += static_cast<float>(x[row * channels + c]);
  }
  tiles.expand(shift, [&](std::int64_t c) { return shift[c] / static_cast<float>(shift_rows); });

  std::fill_n(first, tiles.width(), 0.0F);
  std::fill_n(second, tiles.width(), 0.0F);
  const std::int64_t elements = rows * channels;
  for (std::int64_t tile = 0; tile < elements; tile += tiles.width()) {
    const std::int64_t count = std::min(tiles.width(), elements - tile);
    const T* const values = x + tile;
#pragma omp simd
    for (std::int64_t i = 0; i < count; ++i) {
      const float away = static_cast<float>(values[i]) - shift[i];
      first[i] += away;
      second[i] += away * away;
    }
  }
}

template <class T>
Partials partial_statistics(const ChannelTiles& tiles, const T* x) {
  Partials partials(tiles);
  parallel_for(0, tiles.blocks(), 1, [&](std::int64_t begin, std::int64_t end) {
    const Tensor scratch = tiles.scratch(3);
    float* const shift = scratch.data<float>();
    float* const first = shift + tiles.width();
    float* const second = first + tiles.width();
    for (std::int64_t block = begin; block < end; ++block) {
      const std::int64_t rows = tiles.rows_of(block);
      block_sums(tiles, x + block * tiles.block_rows() * tiles.channels(), rows, shift, first,
                 second);
      for (std::int64_t c = 0; c < tiles.channels(); ++c) {
        const double sum = tiles.fold(first, c);
        const double mean = sum / static_cast<double>(rows);
        const auto at = static_cast<std::size_t>(block * tiles.channels() + c);
        partials.mean[at] = shift[c] + mean;
        partials.squares[at] = tiles.fold(second, c) - sum * mean;
      }
    }
  });
  return partials;
}

struct Moments {
  double mean = 0;
  double squares = 0;  ///< sum of squared deviations from it
};

Moments join(const ChannelTiles& tiles, const Partials& partials, std::int64_t c) {
  Moments total;
  double count = 0;
  for (std::int64_t block = 0; block < tiles.blocks(); ++block) {
    const auto at = static_cast<std::size_t>(block * tiles.channels() + c);
    const auto rows = static_cast<double>(tiles.rows_of(block));
    const double delta = partials.mean[at] - total.mean;
    total.squares += partials.squares[at] + delta * delta * count * rows / (count + rows);
    count += rows;
    total.mean += delta * rows / count;
  }
  return total;
}

float inverse_std_of(double var, const BatchNormParams& params) {
  return static_cast<float>(1 / std::sqrt(var + static_cast<double>(params.eps)));
}

}  // namespace

void batch_norm_moments(const Tensor& x, const Tensor& moments) {
  const ChannelTiles tiles(x);
  const Partials partials = dispatch_floating(
      x.dtype(), "batch_norm", [&]<class T>(T) { return partial_statistics(tiles, x.data<T>()); });
  const BatchNormMoments out(moments.data<double>(), tiles.channels());
  parallel_for(0, tiles.channels(), 16, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t c = begin; c < end; ++c) {
      const Moments joined = join(tiles, partials, c);
      out.count[c] = static_cast<double>(tiles.rows());
      out.mean[c] = joined.mean;
      out.squares[c] = joined.squares;
    }
  });
}

void batch_norm_finish(const Tensor& moments, const BatchNormParams& params, const Tensor& mean,
                       const Tensor& inverse_std, const Tensor& running_mean,
                       const Tensor& running_var) {
  const BatchNormMoments batch(moments.data<double>(), mean.numel());
  const double momentum = params.momentum;
  float* const running_m = running_mean.data<float>();
  float* const running_v = running_var.data<float>();
  for (std::int64_t c = 0; c < mean.numel(); ++c) {
    const double count = batch.count[c];
    mean.data<float>()[c] = static_cast<float>(batch.mean[c]);
    inverse_std.data<float>()[c] = inverse_std_of(batch.squares[c] / count, params);
    running_m[c] = static_cast<float>((1 - momentum) * running_m[c] + momentum * batch.mean[c]);
    running_v[c] = static_cast<float>((1 - momentum) * running_v[c] +
                                      momentum * batch.squares[c] / (count - 1));
  }
}

void batch_norm_take_running(const BatchNormParams& params, const Tensor& running_mean,
                             const Tensor& running_var, const Tensor& mean,
                             const Tensor& inverse_std) {
  for (std::int64_t c = 0; c < mean.numel(); ++c) {
    mean.data<float>()[c] = running_mean.data<float>()[c];
    inverse_std.data<float>()[c] = inverse_std_of(running_var.data<float>()[c], params);
  }
}

}  // namespace invp::cpu
