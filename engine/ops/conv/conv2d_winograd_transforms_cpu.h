// The transforms of Winograd's F(4x4, 3x3), a vector of channels at a time.
//
// A 4x4 block of outputs of a 3x3 correlation is a function of a 6x6 window of its input. Taken as
// products of polynomials evaluated at six points, the correlation becomes 36 multiplications
// instead of 144 (Lavin & Gray, "Fast algorithms for convolutional neural networks", CVPR 2016):
//   Y = A^T [ (G w G^T) . (B^T d B) ] A            and, transposed, for the filters' gradient
//   dw = G^T [ (A dy A^T) . (B^T d B) ] G.
// The points are 0, +-5/8, +-3/2 and infinity: against the textbook's 0, +-1, +-2 they halve the
// rounding error, to twice that of the plain sum, and all powers below are exact in binary.
#pragma once

#include <cstdint>

#include "engine/core/vec_cpu.h"

namespace invp::cpu::winograd {

inline constexpr int kOut = 4;     ///< outputs of a tile, in one direction
inline constexpr int kWindow = 6;  ///< inputs of a tile
inline constexpr int kFilter = 3;  ///< taps of a filter
inline constexpr int kPoints = kWindow * kWindow;

inline constexpr float kA = 0.625F;
inline constexpr float kB = 1.5F;
inline constexpr float kA2 = kA * kA;
inline constexpr float kB2 = kB * kB;
inline constexpr float kA3 = kA2 * kA;
inline constexpr float kB3 = kB2 * kB;
// One over the product of a point's differences from the others.
inline constexpr float kScale0 = static_cast<float>(1.0 / (double{kA2} * kB2));
inline constexpr float kScaleA = static_cast<float>(0.5 / (double{kA2} * (double{kA2} - kB2)));
inline constexpr float kScaleB = static_cast<float>(0.5 / (double{kB2} * (double{kB2} - kA2)));

/// v = B^T d
struct InputTransform {
  static constexpr int kFrom = kWindow;
  static constexpr int kTo = kWindow;
  static void apply(const Vec* d, Vec* v) {
    const Vec even_a = d[4] - kB2 * d[2];
    const Vec odd_a = d[3] - kB2 * d[1];
    const Vec even_b = d[4] - kA2 * d[2];
    const Vec odd_b = d[3] - kA2 * d[1];
    v[0] = kA2 * kB2 * d[0] + (d[4] - (kA2 + kB2) * d[2]);
    v[1] = even_a + kA * odd_a;
    v[2] = even_a - kA * odd_a;
    v[3] = even_b + kB * odd_b;
    v[4] = even_b - kB * odd_b;
    v[5] = kA2 * kB2 * d[1] + (d[5] - (kA2 + kB2) * d[3]);
  }
};

/// y = A^T m
struct OutputTransform {
  static constexpr int kFrom = kWindow;
  static constexpr int kTo = kOut;
  static void apply(const Vec* m, Vec* y) {
    const Vec sum_a = m[1] + m[2];
    const Vec difference_a = m[1] - m[2];
    const Vec sum_b = m[3] + m[4];
    const Vec difference_b = m[3] - m[4];
    y[0] = m[0] + sum_a + sum_b;
    y[1] = kA * difference_a + kB * difference_b;
    y[2] = kA2 * sum_a + kB2 * sum_b;
    y[3] = kA3 * difference_a + (kB3 * difference_b + m[5]);
  }
};

/// A y, the transpose of OutputTransform.
struct OutputGradientTransform {
  static constexpr int kFrom = kOut;
  static constexpr int kTo = kWindow;
  static void apply(const Vec* y, Vec* m) {
    const Vec even_a = y[0] + kA2 * y[2];
    const Vec odd_a = y[1] + kA2 * y[3];
    const Vec even_b = y[0] + kB2 * y[2];
    const Vec odd_b = y[1] + kB2 * y[3];
    m[0] = y[0];
    m[1] = even_a + kA * odd_a;
    m[2] = even_a - kA * odd_a;
    m[3] = even_b + kB * odd_b;
    m[4] = even_b - kB * odd_b;
    m[5] = y[3];
  }
};

/// u = G w
struct FilterTransform {
  static constexpr int kFrom = kFilter;
  static constexpr int kTo = kWindow;
  static void apply(const Vec* w, Vec* u) {
    const Vec even_a = kScaleA * (w[0] + kA2 * w[2]);
    const Vec even_b = kScaleB * (w[0] + kB2 * w[2]);
    u[0] = kScale0 * w[0];
    u[1] = even_a + kScaleA * kA * w[1];
    u[2] = even_a - kScaleA * kA * w[1];
    u[3] = even_b + kScaleB * kB * w[1];
    u[4] = even_b - kScaleB * kB * w[1];
    u[5] = w[2];
  }
};

/// w = G^T u
struct FilterGradientTransform {
  static constexpr int kFrom = kWindow;
  static constexpr int kTo = kFilter;
  static void apply(const Vec* u, Vec* w) {
    const Vec sum_a = kScaleA * (u[1] + u[2]);
    const Vec sum_b = kScaleB * (u[3] + u[4]);
    w[0] = kScale0 * u[0] + (sum_a + sum_b);
    w[1] = kScaleA * kA * (u[1] - u[2]) + kScaleB * kB * (u[3] - u[4]);
    w[2] = kA2 * sum_a + (kB2 * sum_b + u[5]);
  }
};

/// Applies the transform to the columns and then to the rows of a matrix: from(i, j) gives its
/// elements, to(i, j, value) takes the result's.
template <class Transform, class From, class To>
inline __attribute__((always_inline)) void transform_both_ways(const From& from, const To& to) {
  Vec half[Transform::kTo][Transform::kFrom];
#pragma GCC unroll 8
  for (int j = 0; j < Transform::kFrom; ++j) {
    Vec column[Transform::kFrom];
    Vec result[Transform::kTo];
#pragma GCC unroll 8
    for (int i = 0; i < Transform::kFrom; ++i) column[i] = from(i, j);
    Transform::apply(column, result);
#pragma GCC unroll 8
    for (int i = 0; i < Transform::kTo; ++i) half[i][j] = result[i];
  }
#pragma GCC unroll 8
  for (int i = 0; i < Transform::kTo; ++i) {
    Vec result[Transform::kTo];
    Transform::apply(half[i], result);
#pragma GCC unroll 8
    for (int j = 0; j < Transform::kTo; ++j) to(i, j, result[j]);
  }
}

}  // namespace invp::cpu::winograd
