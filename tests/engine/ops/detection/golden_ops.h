// What torchvision and detectron2 gave (golden/make_detection_ops.py).
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <string>

#include "engine/files/safetensors.h"
#include "tests/support/temp_folder.h"
#include "tests/support/values.h"

namespace invp::testing {

/// A tensor of the file on a device; whole numbers as they are stored.
inline Tensor golden_op(const std::string& name, Device device = kCpu) {
  static const TensorFile file = read_safetensors(golden("detection/ops.safetensors"));
  const Tensor* const found = file.find(name);
  if (found == nullptr) throw std::runtime_error("the golden file has no tensor " + name);
  return found->to(device);
}

/// Whole numbers of any type.
inline std::vector<std::int64_t> golden_integers(const std::string& name) {
  const Tensor tensor = golden_op(name);
  std::vector<std::int64_t> values;
  const auto append = [&](const auto& span) { values.assign(span.begin(), span.end()); };
  switch (tensor.dtype()) {
    case DType::kU8: append(tensor.span<std::uint8_t>()); break;
    case DType::kI32: append(tensor.span<std::int32_t>()); break;
    default: append(tensor.span<std::int64_t>());
  }
  return values;
}

/// The elements of an i32 tensor of any device.
inline std::vector<std::int64_t> integers_of(const Tensor& tensor) {
  const Tensor host = tensor.to(kCpu);
  const auto span = host.span<std::int32_t>();
  return {span.begin(), span.end()};
}

/// The anchors of a map of rows x columns cells of 16 pixels: 15 of each cell, of five sizes and
/// three shapes.
inline Values grid_anchors(int rows, int columns) {
  Values boxes;
  for (int y = 0; y < rows; ++y)
    for (int x = 0; x < columns; ++x)
      for (const double size : {32, 64, 128, 256, 512})
        for (const double ratio : {0.5, 1.0, 2.0}) {
          const double width = std::sqrt(size * size / ratio);
          const double half_width = static_cast<float>(width / 2);
          const double half_height = static_cast<float>(ratio * width / 2);
          boxes.insert(boxes.end(), {16 * x - half_width, 16 * y - half_height, 16 * x + half_width,
                                     16 * y + half_height});
        }
  return boxes;
}

/// The largest difference, relative to the largest value of `want` where that is above 1.
inline double golden_distance(const Tensor& got, const Tensor& want) {
  const Values a = values_of(got);
  const Values b = values_of(want);
  EXPECT_EQ(a.size(), b.size());
  double worst = 0;
  double scale = 1;
  for (std::size_t i = 0; i < std::min(a.size(), b.size()); ++i) {
    worst = std::max(worst, std::abs(a[i] - b[i]));
    scale = std::max(scale, std::abs(b[i]));
  }
  return worst / scale;
}

}  // namespace invp::testing
