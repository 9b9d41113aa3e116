// Two small matrix products a box, first along the rows, then along the columns, over a block of
// channels at a time. Backward every thread owns channels and rows of the map and goes through all
// boxes, so that nothing is added to by two threads.
#include <algorithm>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/detection/roi_plan.h"

namespace invp::cpu {

namespace {

/// Channels of a block forward: a line of the map is then small enough for the first two caches.
constexpr std::int64_t kForward = 256;
/// And backward, where the whole map of these channels should stay in the second.
constexpr std::int64_t kBackward = 64;

/// The columns that any bin of a box reads.
RoiSpan all_columns(const RoiPlan& plan, std::int64_t box) {
  RoiSpan all{0, 0};
  for (std::int64_t q = 0; q < plan.columns(); ++q) {
    const RoiSpan span = plan.column_span(box, q);
    if (span.first == span.end) continue;
    if (all.first == all.end) all = span;
    all = {std::min(all.first, span.first), std::max(all.end, span.end)};
  }
  return all;
}

/// out (+)= sum of weights[k] terms[k * stride], k < Terms, over `count` channels.
template <int Terms, bool kAdd, class T>
void sum_terms(float* out, const T* terms, std::int64_t stride, const float* weights,
               std::int64_t count) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) {
    float total = kAdd ? out[c] : 0;
    for (int k = 0; k < Terms; ++k) total += weights[k] * static_cast<float>(terms[k * stride + c]);
    out[c] = total;
  }
}

template <bool kAdd, class T>
void sum_up_to_4(float* out, const T* terms, std::int64_t stride, const float* weights,
                 std::int64_t n, std::int64_t count) {
  switch (n) {
    case 1: return sum_terms<1, kAdd>(out, terms, stride, weights, count);
    case 2: return sum_terms<2, kAdd>(out, terms, stride, weights, count);
    case 3: return sum_terms<3, kAdd>(out, terms, stride, weights, count);
    default: return sum_terms<4, kAdd>(out, terms, stride, weights, count);
  }
}

/// out = sum of weights[k] terms[k * stride], k < n.
template <class T>
void weighted_sum(float* out, const T* terms, std::int64_t stride, const float* weights,
                  std::int64_t n, std::int64_t count) {
  if (n == 0) {
    std::fill_n(out, count, 0.0F);
    return;
  }
  sum_up_to_4<false>(out, terms, stride, weights, std::min<std::int64_t>(n, 4), count);
  for (std::int64_t k = 4; k < n; k += 4) {
    sum_up_to_4<true>(out, terms + k * stride, stride, weights + k,
                      std::min<std::int64_t>(n - k, 4), count);
  }
}

/// to += weight * from.
template <class T>
void add_scaled(float* to, const T* from, float weight, std::int64_t count) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) to[c] += weight * static_cast<float>(from[c]);
}

template <class T>
void round_to(T* out, const float* values, std::int64_t count) {
#pragma omp simd
  for (std::int64_t c = 0; c < count; ++c) put(out[c], values[c]);
}

/// Channels [first, first + count) of one box. `line` has room for a row of the map.
template <class T>
void pool_box(const RoiPlan& plan, std::int64_t box, const Tensor& x, std::int64_t first,
              std::int64_t count, float* line, bool streaming, const Tensor& y) {
  const std::int64_t channels = x.dim(3);
  const std::int64_t row = plan.map_width * channels;
  const T* const map =
      x.data<T>() + std::max<std::int64_t>(plan.picture(box), 0) * plan.map_height * row + first;
  T* out = y.data<T>() + box * plan.rows() * plan.columns() * channels + first;
  const RoiSpan columns = all_columns(plan, box);
  alignas(64) float sums[kForward];
  alignas(64) T rounded[kForward];
  for (std::int64_t p = 0; p < plan.rows(); ++p) {
    const RoiSpan rows = plan.row_span(box, p);
    for (std::int64_t w = columns.first; w < columns.end; ++w) {
      weighted_sum(line + (w - columns.first) * kForward, map + rows.first * row + w * channels,
                   row, plan.row_weights(box, p) + rows.first, rows.end - rows.first, count);
    }
    for (std::int64_t q = 0; q < plan.columns(); ++q, out += channels) {
      const RoiSpan span = plan.column_span(box, q);
      weighted_sum(sums, line + std::max(span.first - columns.first, 0) * kForward, kForward,
                   plan.column_weights(box, q) + span.first, span.end - span.first, count);
      round_to(streaming ? rounded : out, sums, count);
      if (streaming) store_past_caches(out, rounded, count);
    }
  }
}

/// A part of the map that one thread adds up: rows and channels of one picture.
struct Part {
  std::int64_t picture;
  std::int64_t first_row;
  std::int64_t end_row;
  std::int64_t first_channel;
  std::int64_t channels;
};

/// Adds to sums (rows of the part, map_width, kBackward) what one box gives back. `line` has room
/// for a row of the map.
template <class T>
void spread_box(const RoiPlan& plan, std::int64_t box, const Part& part, const T* dy,
                std::int64_t channels, float* line, float* sums) {
  const RoiSpan columns = all_columns(plan, box);
  const std::int64_t width = columns.end - columns.first;
  for (std::int64_t p = 0; p < plan.rows(); ++p) {
    const RoiSpan rows = plan.row_span(box, p);
    const std::int64_t begin = std::max<std::int64_t>(rows.first, part.first_row);
    const std::int64_t end = std::min<std::int64_t>(rows.end, part.end_row);
    if (begin >= end) continue;
    std::fill_n(line, width * kBackward, 0.0F);
    for (std::int64_t q = 0; q < plan.columns(); ++q) {
      const T* const from =
          dy + ((box * plan.rows() + p) * plan.columns() + q) * channels + part.first_channel;
      const RoiSpan span = plan.column_span(box, q);
      const float* const weights = plan.column_weights(box, q);
      for (std::int64_t w = span.first; w < span.end; ++w) {
        add_scaled(line + (w - columns.first) * kBackward, from, weights[w], part.channels);
      }
    }
    const float* const weights = plan.row_weights(box, p);
    for (std::int64_t h = begin; h < end; ++h) {
      float* const to = sums + ((h - part.first_row) * plan.map_width + columns.first) * kBackward;
      add_scaled(to, line, weights[h], width * kBackward);
    }
  }
}

template <class T>
void spread_part(const RoiPlan& plan, const Part& part, const Tensor& dy, const Tensor& dx,
                 std::vector<float>& line, std::vector<float>& sums) {
  const std::int64_t channels = dx.dim(3);
  const std::int64_t cells = (part.end_row - part.first_row) * plan.map_width;
  sums.assign(static_cast<std::size_t>(cells * kBackward), 0);
  for (std::int64_t box = 0; box < plan.count; ++box) {
    if (plan.picture(box) != part.picture) continue;
    spread_box(plan, box, part, dy.data<T>(), channels, line.data(), sums.data());
  }
  T* const out = dx.data<T>() +
                 (part.picture * plan.map_height + part.first_row) * plan.map_width * channels +
                 part.first_channel;
  for (std::int64_t cell = 0; cell < cells; ++cell) {
    round_to(out + cell * channels, sums.data() + cell * kBackward, part.channels);
  }
}

}  // namespace

void roi_align_forward(const RoiAlignParams& params, const Tensor& x, const Tensor& boxes,
                       const Tensor& y) {
  const RoiPlanMemory memory(params, x.shape(), boxes);
  const RoiPlan& plan = memory.plan;
  fill_roi_plan(plan);
  const std::int64_t channels = x.dim(3);
  const std::int64_t blocks = (channels + kForward - 1) / kForward;
  const bool streaming = streams(y);
  dispatch_floating(x.dtype(), "roi_align", [&]<class T>(T) {
    parallel_for(0, blocks * plan.count, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> line(static_cast<std::size_t>(plan.map_width * kForward));
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t first = task / plan.count * kForward;
        pool_box<T>(plan, task % plan.count, x, first, std::min(kForward, channels - first),
                    line.data(), streaming, y);
      }
      finish_stores(streaming);
    });
  });
}

void roi_align_backward(const RoiAlignParams& params, const Tensor& dy, const Tensor& boxes,
                        const Tensor& dx) {
  const RoiPlanMemory memory(params, dx.shape(), boxes);
  const RoiPlan& plan = memory.plan;
  fill_roi_plan(plan);
  const std::int64_t channels = dx.dim(3);
  const std::int64_t blocks = (channels + kBackward - 1) / kBackward;
  const std::int64_t columns = dx.dim(0) * blocks;
  if (columns == 0) return;
  // Rows are split only where channels do not keep the threads busy: the sums do not depend on it.
  const std::int64_t wanted = (2 * num_threads() + columns - 1) / columns;
  const std::int64_t bands = std::min<std::int64_t>(wanted, plan.map_height);
  dispatch_floating(dx.dtype(), "roi_align", [&]<class T>(T) {
    parallel_for(0, columns * bands, 1, [&](std::int64_t begin, std::int64_t end) {
      std::vector<float> line(static_cast<std::size_t>(plan.map_width * kBackward));
      std::vector<float> sums;
      for (std::int64_t task = begin; task < end; ++task) {
        const std::int64_t band = task % bands;
        const std::int64_t first = task / bands % blocks * kBackward;
        const Part part{task / bands / blocks, plan.map_height * band / bands,
                        plan.map_height * (band + 1) / bands, first,
                        std::min(kBackward, channels - first)};
        spread_part<T>(plan, part, dy, dx, line, sums);
      }
    });
  });
}

}  // namespace invp::cpu
