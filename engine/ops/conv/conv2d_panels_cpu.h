// Working memory of the engine's own convolutions.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"
#include "engine/ops/conv/panel_product_cpu.h"

namespace invp::cpu {

inline Tensor workspace(std::int64_t floats) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty({floats});
}

/// For each of some points a matrix of rows() rows and channels() columns, in panels: (points,
/// channels / width, rows, width).
class Panels {
 public:
  Panels(std::int64_t points, std::int64_t most_rows, std::int64_t channels)
      : memory_(workspace(points * most_rows * channels)), rows_(most_rows), channels_(channels) {}

  /// Fewer rows than there is room for.
  void set_rows(std::int64_t rows) { rows_ = rows; }
  std::int64_t rows() const { return rows_; }
  std::int64_t channels() const { return channels_; }
  std::int64_t width() const { return panel_width(channels_); }
  /// Floats from one point's matrix to the next one's.
  std::int64_t stride() const { return rows_ * channels_; }
  float* panel(std::int64_t point, std::int64_t block) const {
    return memory_.data<float>() + point * stride() + block * rows_ * width();
  }

 private:
  Tensor memory_;
  std::int64_t rows_, channels_;
};

}  // namespace invp::cpu
