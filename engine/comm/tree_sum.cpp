#include "engine/comm/tree_sum.h"

#include <algorithm>
#include <vector>

#include "engine/comm/tree_sum_values.h"

namespace invp {

namespace {

/// Values of each row that are worked on at a time: what all rows take of it stays in the cache.
constexpr std::int64_t kPart = 2048;

/// Rows `stride` values apart.
template <class T, class Combine>
void tree(T* rows, std::int64_t count, std::int64_t stride, std::int64_t width,
          const Combine& combine) {
  for (std::int64_t distance = 1; distance < count; distance *= 2) {
    for (std::int64_t row = 0; row + distance < count; row += 2 * distance) {
      T* const to = rows + row * stride;
      const T* const from = to + distance * stride;
      for (std::int64_t i = 0; i < width; ++i) to[i] = combine(to[i], from[i]);
    }
  }
}

template <class T>
void tree_by(Reduction reduction, T* rows, std::int64_t count, std::int64_t stride,
             std::int64_t width) {
  switch (reduction) {
    case Reduction::kSum: return tree(rows, count, stride, width, Sum<T>());
    case Reduction::kMax: return tree(rows, count, stride, width, Larger<T>());
    case Reduction::kMin: return tree(rows, count, stride, width, Smaller<T>());
  }
}

struct RoundedSum {
  float operator()(float a, float b) const { return static_cast<float>(BFloat16(a + b)); }
};

template <class T>
void reduce(const Tensor& blocks, Reduction reduction) {
  const std::int64_t count = blocks.dim(0);
  const std::int64_t width = blocks.numel() / count;
  T* const values = blocks.data<T>();
  for (std::int64_t at = 0; at < width; at += kPart)
    tree_by(reduction, values + at, count, width, std::min(kPart, width - at));
}

void reduce_bf16(const Tensor& blocks, Reduction reduction) {
  const std::int64_t count = blocks.dim(0);
  const std::int64_t width = blocks.numel() / count;
  auto* const values = blocks.data<BFloat16>();
  std::vector<float> exact(static_cast<std::size_t>(count * std::min(kPart, width)));
  for (std::int64_t at = 0; at < width; at += kPart) {
    const std::int64_t part = std::min(kPart, width - at);
    for (std::int64_t row = 0; row < count; ++row)
      std::transform(values + row * width + at, values + row * width + at + part,
                     exact.data() + row * part, [](BFloat16 v) { return static_cast<float>(v); });
    switch (reduction) {
      case Reduction::kSum: tree(exact.data(), count, part, part, RoundedSum()); break;
      case Reduction::kMax: tree(exact.data(), count, part, part, Larger<float>()); break;
      case Reduction::kMin: tree(exact.data(), count, part, part, Smaller<float>()); break;
    }
    std::transform(exact.data(), exact.data() + part, values + at,
                   [](float v) { return BFloat16(v); });
  }
}

}  // namespace

void check_reducible(const char* name, DType dtype) {
  const bool can =
      dtype == DType::kF32 || dtype == DType::kBF16 || dtype == DType::kF64 || dtype == DType::kI64;
  CHECK(can, "[", name, "] f32, bf16, f64 or i64 can be reduced, not ", dtype);
}

void tree_reduce(const char* name, const Tensor& blocks, Reduction reduction) {
  check_reducible(name, blocks.dtype());
  if (blocks.numel() > 0) DISPATCH(blocks.device(), tree_rows, blocks, reduction);
}

void cpu::tree_rows(const Tensor& blocks, Reduction reduction) {
  switch (blocks.dtype()) {
    case DType::kF32: return reduce<float>(blocks, reduction);
    case DType::kF64: return reduce<double>(blocks, reduction);
    case DType::kI64: return reduce<std::int64_t>(blocks, reduction);
    case DType::kBF16: return reduce_bf16(blocks, reduction);
    default: return;
  }
}

}  // namespace invp
