#include "engine/ops/conv/panel_product_cpu.h"

#include <algorithm>
#include <array>
#include <utility>

#include "engine/core/vec_cpu.h"

namespace invp::cpu {

namespace {

/// c[i, j] (+)= sum over l of a(i, l) * b[l, j] for Rows rows and Vectors vectors of columns of
/// panels of AWidth and BWidth columns. The accumulators stay in registers.
template <Left Form, int AWidth, int BWidth, int Vectors, int Rows>
void multiply_tile(const float* a, const float* b, std::int64_t length, float* c, bool add) {
  Vec sum[Rows][Vectors] = {};
  for (std::int64_t l = 0; l < length; ++l) {
    Vec right[Vectors];
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) right[v] = load(b + l * BWidth + v * kVec);
#pragma GCC unroll 32
    for (int i = 0; i < Rows; ++i) {
      const float left = Form == Left::kPlain ? a[i * AWidth + l] : a[l * AWidth + i];
#pragma GCC unroll 8
      for (int v = 0; v < Vectors; ++v) sum[i][v] += left * right[v];
    }
  }
#pragma GCC unroll 32
  for (int i = 0; i < Rows; ++i) {
#pragma GCC unroll 8
    for (int v = 0; v < Vectors; ++v) {
      float* const to = c + i * BWidth + v * kVec;
      store(to, add ? load(to) + sum[i][v] : sum[i][v]);
    }
  }
}

// Register blocking. 32 registers: 24 accumulators or fewer, the vectors of b and a broadcast. 16
// registers: 4 x 2, two vectors of b, a broadcast.
#ifdef __AVX512F__
template <int BWidth>
inline constexpr int kVectors = BWidth / kVec;
template <int BWidth>
inline constexpr int kRows = BWidth == 64   ? 6
                             : BWidth == 32 ? 12
                                            : 16;
#else
template <int BWidth>
inline constexpr int kVectors = 2;
template <int BWidth>
inline constexpr int kRows = 4;
#endif

/// Any number of rows: whole tiles, then one of what is left.
template <Left Form, int AWidth, int BWidth>
void multiply_rows(const float* a, std::int64_t rows, const float* b, std::int64_t length, float* c,
                   bool add) {
  constexpr int kMost = kRows<BWidth>;
  constexpr int kWide = kVectors<BWidth>;
  using Tile = void (*)(const float*, const float*, std::int64_t, float*, bool);
  static constexpr auto kTiles = []<int... I>(std::integer_sequence<int, I...>) {
    return std::array<Tile, kMost>{&multiply_tile<Form, AWidth, BWidth, kWide, I + 1>...};
  }
  (std::make_integer_sequence<int, kMost>{});
  for (std::int64_t i = 0; i < rows; i += kMost) {
    const std::int64_t count = std::min<std::int64_t>(kMost, rows - i);
    const float* const from = a + i * (Form == Left::kPlain ? AWidth : 1);
    for (int j = 0; j < BWidth; j += kWide * kVec) {
      kTiles[static_cast<std::size_t>(count - 1)](from, b + j, length, c + i * BWidth + j, add);
    }
  }
}

template <Left Form, int AWidth>
void multiply_by(const float* a, std::int64_t rows, const float* b, std::int64_t length, float* c,
                 std::int64_t width, bool add) {
  switch (width) {
    case 64: return multiply_rows<Form, AWidth, 64>(a, rows, b, length, c, add);
    case 32: return multiply_rows<Form, AWidth, 32>(a, rows, b, length, c, add);
    default: return multiply_rows<Form, AWidth, 16>(a, rows, b, length, c, add);
  }
}

template <Left Form>
void multiply(const float* a, std::int64_t a_width, std::int64_t rows, const float* b,
              std::int64_t length, float* c, std::int64_t width, bool add) {
  switch (a_width) {
    case 64: return multiply_by<Form, 64>(a, rows, b, length, c, width, add);
    case 32: return multiply_by<Form, 32>(a, rows, b, length, c, width, add);
    default: return multiply_by<Form, 16>(a, rows, b, length, c, width, add);
  }
}

}  // namespace

void multiply_panels(Left form, const float* a, std::int64_t a_width, std::int64_t rows,
                     const float* b, std::int64_t length, float* c, std::int64_t width, bool add) {
  if (form == Left::kPlain)
    multiply<Left::kPlain>(a, a_width, rows, b, length, c, width, add);
  else
    multiply<Left::kTransposed>(a, a_width, rows, b, length, c, width, add);
}

}  // namespace invp::cpu
