// The matrix product of the engine's own convolutions. Operands lie in panels: blocks of 16, 32 or
// 64 columns of the matrix, each contiguous row by row. The inner loop then reads memory front to
// back for any width of the matrix, and the compiler knows every stride.
#pragma once

#include <cstdint>

namespace invp::cpu {

/// Channels come in multiples of this.
inline constexpr std::int64_t kPanelUnit = 16;

/// Columns of one panel of a matrix of `columns` columns, a multiple of kPanelUnit.
constexpr std::int64_t panel_width(std::int64_t columns) {
  return columns % 64 == 0 ? 64 : columns % 32 == 0 ? 32 : 16;
}

/// How the left operand lies in its panel: as it is read, or transposed.
enum class Left : std::uint8_t { kPlain, kTransposed };

/// c (+)= op(a) b, all three panels: op(a) (rows, length), b (length, width), c (rows, width).
/// `a` starts anywhere in a panel of `a_width` columns.
void multiply_panels(Left form, const float* a, std::int64_t a_width, std::int64_t rows,
                     const float* b, std::int64_t length, float* c, std::int64_t width, bool add);

}  // namespace invp::cpu
