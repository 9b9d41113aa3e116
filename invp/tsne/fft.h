// Fourier transforms of many lines at once, and of square arrays. Lengths are products of 2, 3 and
// 5; numbers are f32, real and imaginary parts in arrays of their own.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/vec_cpu.h"

namespace invp {

/// The forward transform of one length: X_k = sum over j of x_j exp(-2 pi i j k / length), not
/// normalised. The inverse is the same with real and imaginary parts exchanged.
class Fft {
 public:
  /// Throws Error if `length` has other prime factors than 2, 3 and 5.
  explicit Fft(std::int64_t length);
  std::int64_t length() const { return length_; }

  /// kVec lines side by side: element j of line l is re[j * kVec + l]. In place.
  void lines(float* re, float* im) const;

  /// The least length of at least `least` that is a multiple of kVec * 2 and factors as above.
  static std::int64_t good_length(std::int64_t least);

 private:
  struct Pass {
    int radix;
    std::int64_t count;           ///< butterflies per line and stride: length left / radix
    std::int64_t stride;          ///< product of the radices before
    std::vector<float> cos, sin;  ///< of -2 pi p j / length left, for p < count, 0 < j < radix
  };
  template <int Radix>
  static void run(const Pass& pass, const float* re, const float* im, float* out_re, float* out_im);

  std::int64_t length_;
  std::vector<Pass> passes_;
};

/// A square array of complex numbers, row after row.
struct ComplexSquare {
  std::vector<float> re, im;
  void resize(std::int64_t side) {
    re.resize(static_cast<std::size_t>(side * side));
    im.resize(static_cast<std::size_t>(side * side));
  }
};

/// Transforms the columns [0, columns) of the square; `inverse` by exchanging the parts. Rows from
/// `rows` on are taken for zero, whatever they hold. `columns` is a multiple of kVec.
void transform_columns(const Fft& fft, ComplexSquare& square, std::int64_t rows,
                       std::int64_t columns, bool inverse);
/// Transforms whole rows [0, side), forward.
void transform_rows(const Fft& fft, ComplexSquare& square);

/// The first `columns` elements of kVec rows of a square as lines, and back. rows[l] is the row of
/// line l.
void load_lines(const float* square, std::int64_t side, const std::int64_t* rows,
                std::int64_t columns, float* lines);
void store_lines(float* square, std::int64_t side, const std::int64_t* rows, std::int64_t columns,
                 const float* lines);

}  // namespace invp
