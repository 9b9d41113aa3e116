// What RoIAlign takes from a map is a product of a weight along the rows and one along the columns:
// output bin (p, q) of a box is sum over h, w of rows[p][h] columns[q][w] x[h][w]. Borders, samples
// outside of the map and the mean over the samples are all in the weights. Each bin reads few
// neighboring cells, its span. Both devices compute the weights with this code.
#pragma once

#include <cmath>
#include <cstdint>

#include "engine/core/host_device.h"
#include "engine/ops/detection/roi_align.h"

namespace invp {

/// Cells [first, end) of an axis.
struct RoiSpan {
  std::int32_t first;
  std::int32_t end;

  HOST_DEVICE bool contains(std::int64_t cell) const { return first <= cell && cell < end; }
};

/// One box along one axis of the map, in cells.
struct RoiAxis {
  float start;
  float bin;             ///< the length of one; negative in an inverted box
  std::int64_t samples;  ///< in each bin
  std::int64_t size;     ///< cells of the map

  /// Sample i of the bin that begins at `begin`.
  HOST_DEVICE float sample(float begin, std::int64_t i) const {
    return begin + (static_cast<float>(i) + 0.5F) * bin / static_cast<float>(samples);
  }

  /// The lowest i whose sample passes `limit`, by bisection: a box may be a million times as large
  /// as the map. Rounding keeps the order of the samples.
  template <class Passes>
  HOST_DEVICE std::int64_t first_sample(float begin, const Passes& passes) const {
    std::int64_t low = 0;
    std::int64_t high = samples;
    while (low < high) {
      const std::int64_t middle = (low + high) / 2;
      if (passes(sample(begin, middle))) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    return low;
  }

  /// Writes the weights of bin p to weights[cell], for the cells of the span it returns.
  HOST_DEVICE RoiSpan fill_bin(std::int64_t p, float* weights) const {
    const float begin = start + static_cast<float>(p) * bin;
    const auto length = static_cast<float>(size);
    std::int64_t first = 0;
    std::int64_t last = samples;
    if (bin > 0) {
      first = first_sample(begin, [](float at) { return at >= -1; });
      last = first_sample(begin, [length](float at) { return at > length; });
    }
    const float share = 1 / static_cast<float>(samples);
    RoiSpan span{0, 0};
    for (std::int64_t i = first; i < last; ++i) {
      const float at = sample(begin, i);
      if (!(at >= -1 && at <= length)) continue;
      add_sample(at < 0 ? 0 : at, share, span, weights);
    }
    return span;
  }

 private:
  HOST_DEVICE void add_sample(float at, float share, RoiSpan& span, float* weights) const {
    auto low = static_cast<std::int32_t>(at);
    std::int32_t high = low + 1;
    float beyond = at - static_cast<float>(low);
    if (low >= size - 1) {
      low = high = static_cast<std::int32_t>(size - 1);
      beyond = 0;
    }
    if (span.first == span.end) span = {low, low};
    while (span.end <= high) weights[span.end++] = 0;
    while (span.first > low) weights[--span.first] = 0;
    weights[low] += (1 - beyond) * share;
    weights[high] += beyond * share;
  }
};

/// The weights of all boxes.
struct RoiPlan {
  const float* boxes;  ///< (count, 5)
  std::int64_t count;
  std::int64_t pictures;
  std::int64_t map_height;
  std::int64_t map_width;
  RoiAlignParams params;
  RoiSpan* spans;  ///< (count, rows + columns): of the bins along the rows, then the columns
  float* weights;  ///< (count, rows * map_height + columns * map_width)

  /// Of the bins that are computed.
  HOST_DEVICE std::int64_t rows() const { return params.rows(); }
  HOST_DEVICE std::int64_t columns() const { return params.columns(); }
  HOST_DEVICE std::int64_t bins() const { return rows() + columns(); }
  HOST_DEVICE std::int64_t weights_of_box() const {
    return rows() * map_height + columns() * map_width;
  }

  /// The picture of a box, -1 if there is no such picture.
  HOST_DEVICE std::int64_t picture(std::int64_t box) const {
    const float index = boxes[box * 5];
    return index >= 0 && index < static_cast<float>(pictures) ? static_cast<std::int64_t>(index)
                                                              : -1;
  }

  HOST_DEVICE RoiSpan row_span(std::int64_t box, std::int64_t p) const {
    return spans[box * bins() + p];
  }
  HOST_DEVICE RoiSpan column_span(std::int64_t box, std::int64_t q) const {
    return spans[box * bins() + rows() + q];
  }
  /// Of bin p, by map row.
  HOST_DEVICE float* row_weights(std::int64_t box, std::int64_t p) const {
    return weights + box * weights_of_box() + p * map_height;
  }
  /// Of bin q, by map column.
  HOST_DEVICE float* column_weights(std::int64_t box, std::int64_t q) const {
    return weights + box * weights_of_box() + rows() * map_height + q * map_width;
  }

  HOST_DEVICE RoiAxis axis(std::int64_t box, bool along_rows) const {
    const float* const corners = boxes + box * 5 + (along_rows ? 2 : 1);
    const float offset = params.aligned ? 0.5F : 0.0F;
    const float start = corners[0] * params.spatial_scale - offset;
    const float end = corners[2] * params.spatial_scale - offset;
    float length = end - start;
    if (!params.aligned && !(length >= 1)) length = 1;
    constexpr float kMost = 1 << 30;  // beyond, samples lie further apart than floats do
    const float bin = length / static_cast<float>(along_rows ? params.height : params.width);
    const float wanted = bin > 0 ? std::ceil(bin < kMost ? bin : kMost) : 0;
    return {start, bin,
            params.sampling_ratio > 0 ? params.sampling_ratio : static_cast<std::int64_t>(wanted),
            along_rows ? map_height : map_width};
  }

  /// Fills bin `i` of all count * bins().
  HOST_DEVICE void fill(std::int64_t i) const {
    const std::int64_t box = i / bins();
    const std::int64_t bin = i % bins();
    const bool along_rows = bin < rows();
    const std::int64_t of_axis = along_rows ? bin : bin - rows();
    float* const to = along_rows ? row_weights(box, of_axis) : column_weights(box, of_axis);
    spans[i] = picture(box) < 0 ? RoiSpan{0, 0}
                                : axis(box, along_rows).fill_bin(of_axis * params.step, to);
  }
};

/// The plan's memory: `plan` may be used while this lives. The map is (N, H, W, C).
struct RoiPlanMemory {
  Tensor bytes;
  RoiPlan plan;

  RoiPlanMemory(const RoiAlignParams& params, const Shape& map, const Tensor& boxes)
      : plan{boxes.data<float>(), boxes.dim(0), map[0], map[1], map[2], params, nullptr, nullptr} {
    const MemoryScope scope(MemoryUse::kWorkspace);
    const auto span_bytes = plan.count * plan.bins() * static_cast<std::int64_t>(sizeof(RoiSpan));
    const auto weight_bytes =
        plan.count * plan.weights_of_box() * static_cast<std::int64_t>(sizeof(float));
    bytes = Tensor::empty({span_bytes + weight_bytes}, DType::kU8, boxes.device());
    auto* const first = static_cast<std::byte*>(bytes.raw());
    plan.spans = reinterpret_cast<RoiSpan*>(first);
    plan.weights = reinterpret_cast<float*>(first + span_bytes);
  }
};

namespace cpu {
/// All bins, in parallel.
void fill_roi_plan(const RoiPlan& plan);
}  // namespace cpu

}  // namespace invp
