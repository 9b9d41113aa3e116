// The values that tests/golden/make_files.py puts into every tensor.
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "engine/core/tensor.h"

namespace invp::testing {

inline double value_at(const Tensor& tensor, std::int64_t i) {
  const auto at = static_cast<std::size_t>(i);
  switch (tensor.dtype()) {
    case DType::kF32: return tensor.span<float>()[at];
    case DType::kBF16: return static_cast<double>(static_cast<float>(tensor.span<BFloat16>()[at]));
    case DType::kI32: return tensor.span<std::int32_t>()[at];
    case DType::kF64: return tensor.span<double>()[at];
    case DType::kI64: return static_cast<double>(tensor.span<std::int64_t>()[at]);
    case DType::kU8: return tensor.span<std::uint8_t>()[at];
  }
  return 0;
}

/// What make_files.py's tensor(shape) holds at flat index i.
inline double ramp(std::int64_t i) {
  return static_cast<double>(i) / 4 - 3;
}

/// The ten element types, a scalar and an empty tensor, as every writer saved them.
template <class Find>
void expect_all_types(const Find& find) {
  const auto expect = [&](const char* name, DType dtype, const auto& value) {
    const Tensor* tensor = find(name);
    ASSERT_NE(tensor, nullptr) << name;
    EXPECT_EQ(tensor->dtype(), dtype) << name;
    ASSERT_EQ(tensor->shape(), (Shape{2, 3, 4})) << name;
    for (std::int64_t i = 0; i < 24; ++i) EXPECT_EQ(value_at(*tensor, i), value(i)) << name << i;
  };
  const auto integer = [](std::int64_t i) { return static_cast<double>(i - 3); };
  for (const char* name : {"f64", "f32", "f16"}) expect(name, DType::kF32, ramp);
  expect("bf16", DType::kBF16, ramp);
  expect("i64", DType::kI64, integer);
  for (const char* name : {"i32", "i16", "i8"}) expect(name, DType::kI32, integer);
  expect("u8", DType::kU8, [](std::int64_t i) { return static_cast<double>(i); });
  expect("bool", DType::kU8, [](std::int64_t i) { return i % 3 == 0 ? 1.0 : 0.0; });
  ASSERT_NE(find("scalar"), nullptr);
  EXPECT_EQ(find("scalar")->rank(), 0);
  EXPECT_EQ(find("scalar")->item(), -3);
  ASSERT_NE(find("empty"), nullptr);
  EXPECT_EQ(find("empty")->shape(), (Shape{0, 5}));
}

}  // namespace invp::testing
