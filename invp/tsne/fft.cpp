#include "invp/tsne/fft.h"

#include <array>
#include <cmath>
#include <numbers>

#include "engine/core/error.h"
#include "engine/core/parallel.h"

namespace invp {

using cpu::kVec;
using cpu::load;
using cpu::store;
using cpu::Vec;

Fft::Fft(std::int64_t length) : length_(length) {
  CHECK(length >= 1, "[fft] length must be at least 1, got ", length);
  std::int64_t left = length;
  std::int64_t stride = 1;
  for (const int radix : {4, 2, 3, 5}) {
    for (; left % radix == 0; left /= radix, stride *= radix) {
      Pass pass{.radix = radix, .count = left / radix, .stride = stride, .cos = {}, .sin = {}};
      for (std::int64_t p = 0; p < pass.count; ++p) {
        for (int j = 1; j < radix; ++j) {
          const double angle =
              -2 * std::numbers::pi * static_cast<double>(p * j) / static_cast<double>(left);
          pass.cos.push_back(static_cast<float>(std::cos(angle)));
          pass.sin.push_back(static_cast<float>(std::sin(angle)));
        }
      }
      passes_.push_back(std::move(pass));
    }
  }
  CHECK(left == 1, "[fft] length must be a product of 2, 3 and 5, got ", length);
}

std::int64_t Fft::good_length(std::int64_t least) {
  constexpr std::int64_t kUnit = 2 * kVec;
  for (std::int64_t units = std::max<std::int64_t>(1, (least + kUnit - 1) / kUnit);; ++units) {
    std::int64_t left = units;
    for (const int radix : {2, 3, 5}) {
      while (left % radix == 0) left /= radix;
    }
    if (left == 1) return units * kUnit;
  }
}

namespace {

struct Complex {
  Vec re, im;
};
inline Complex operator+(const Complex& a, const Complex& b) {
  return {a.re + b.re, a.im + b.im};
}
inline Complex operator-(const Complex& a, const Complex& b) {
  return {a.re - b.re, a.im - b.im};
}
inline Complex operator*(const Complex& a, const std::array<float, 2>& w) {
  return {a.re * w[0] - a.im * w[1], a.re * w[1] + a.im * w[0]};
}

/// The transform of `Radix` numbers.
template <int Radix>
std::array<Complex, Radix> butterfly(const std::array<Complex, Radix>& x) {
  std::array<Complex, Radix> y;
  if constexpr (Radix == 2) {
    y = {x[0] + x[1], x[0] - x[1]};
  } else if constexpr (Radix == 4) {
    const Complex even = x[0] + x[2];
    const Complex odd = x[1] + x[3];
    const Complex a = x[0] - x[2];
    const Complex b = x[1] - x[3];
    const Complex turned{b.im, -b.re};  // -i b
    y = {even + odd, a + turned, even - odd, a - turned};
  } else {
    static const auto kRoots = [] {
      std::array<std::array<float, 2>, Radix> roots;
      for (int k = 0; k < Radix; ++k) {
        const double angle = -2 * std::numbers::pi * k / Radix;
        roots[static_cast<std::size_t>(k)] = {static_cast<float>(std::cos(angle)),
                                              static_cast<float>(std::sin(angle))};
      }
      return roots;
    }();
    for (std::size_t k = 0; k < Radix; ++k) {
      y[k] = x[0];
      for (std::size_t j = 1; j < Radix; ++j) y[k] = y[k] + x[j] * kRoots[j * k % Radix];
    }
  }
  return y;
}

}  // namespace

// One step of Stockham's self-sorting form: after the last step the output is in order.
template <int Radix>
void Fft::run(const Pass& pass, const float* re, const float* im, float* out_re, float* out_im) {
  const std::int64_t s = pass.stride;
  for (std::int64_t p = 0; p < pass.count; ++p) {
    std::array<std::array<float, 2>, Radix> twiddles;
    for (int j = 1; j < Radix; ++j) {
      const auto at = static_cast<std::size_t>(p * (Radix - 1) + j - 1);
      twiddles[static_cast<std::size_t>(j)] = {pass.cos[at], pass.sin[at]};
    }
    for (std::int64_t q = 0; q < s; ++q) {
      std::array<Complex, Radix> x;
      for (int j = 0; j < Radix; ++j) {
        const std::int64_t at = (q + s * (p + pass.count * j)) * kVec;
        x[static_cast<std::size_t>(j)] = {load(re + at), load(im + at)};
      }
      const std::array<Complex, Radix> y = butterfly<Radix>(x);
      for (int j = 0; j < Radix; ++j) {
        const auto k = static_cast<std::size_t>(j);
        const Complex value = j == 0 ? y[0] : y[k] * twiddles[k];
        const std::int64_t at = (q + s * (Radix * p + j)) * kVec;
        store(out_re + at, value.re);
        store(out_im + at, value.im);
      }
    }
  }
}

void Fft::lines(float* re, float* im) const {
  thread_local std::vector<float> scratch;
  const auto size = static_cast<std::size_t>(length_ * kVec);
  if (scratch.size() < 2 * size) scratch.resize(2 * size);
  float* from[] = {re, im};
  float* to[] = {scratch.data(), scratch.data() + size};
  for (const Pass& pass : passes_) {
    switch (pass.radix) {
      case 2: run<2>(pass, from[0], from[1], to[0], to[1]); break;
      case 3: run<3>(pass, from[0], from[1], to[0], to[1]); break;
      case 4: run<4>(pass, from[0], from[1], to[0], to[1]); break;
      default: run<5>(pass, from[0], from[1], to[0], to[1]); break;
    }
    std::swap(from[0], to[0]);
    std::swap(from[1], to[1]);
  }
  if (from[0] != re) {
    std::memcpy(re, from[0], size * sizeof(float));
    std::memcpy(im, from[1], size * sizeof(float));
  }
}

void load_lines(const float* square, std::int64_t side, const std::int64_t* rows,
                std::int64_t columns, float* lines) {
  for (std::int64_t column = 0; column < columns; column += kVec) {
    std::array<Vec, kVec> tile;
    for (int l = 0; l < kVec; ++l) {
      tile[static_cast<std::size_t>(l)] = load(square + rows[l] * side + column);
    }
    cpu::transpose(tile);
    for (int k = 0; k < kVec; ++k) {
      store(lines + (column + k) * kVec, tile[static_cast<std::size_t>(k)]);
    }
  }
}

void store_lines(float* square, std::int64_t side, const std::int64_t* rows, std::int64_t columns,
                 const float* lines) {
  for (std::int64_t column = 0; column < columns; column += kVec) {
    std::array<Vec, kVec> tile;
    for (int k = 0; k < kVec; ++k) {
      tile[static_cast<std::size_t>(k)] = load(lines + (column + k) * kVec);
    }
    cpu::transpose(tile);
    for (int l = 0; l < kVec; ++l) {
      store(square + rows[l] * side + column, tile[static_cast<std::size_t>(l)]);
    }
  }
}

void transform_columns(const Fft& fft, ComplexSquare& square, std::int64_t rows,
                       std::int64_t columns, bool inverse) {
  const std::int64_t side = fft.length();
  parallel_for(0, columns / kVec, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> re(static_cast<std::size_t>(side * kVec));
    std::vector<float> im(re.size());
    for (std::int64_t block = begin; block < end; ++block) {
      float* from_re = square.re.data() + block * kVec;
      float* from_im = square.im.data() + block * kVec;
      for (std::int64_t r = 0; r < side; ++r) {
        store(re.data() + r * kVec, r < rows ? load(from_re + r * side) : Vec{});
        store(im.data() + r * kVec, r < rows ? load(from_im + r * side) : Vec{});
      }
      inverse ? fft.lines(im.data(), re.data()) : fft.lines(re.data(), im.data());
      for (std::int64_t r = 0; r < side; ++r) {
        store(from_re + r * side, load(re.data() + r * kVec));
        store(from_im + r * side, load(im.data() + r * kVec));
      }
    }
  });
}

void transform_rows(const Fft& fft, ComplexSquare& square) {
  const std::int64_t side = fft.length();
  parallel_for(0, side / kVec, 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<float> re(static_cast<std::size_t>(side * kVec));
    std::vector<float> im(re.size());
    for (std::int64_t block = begin; block < end; ++block) {
      std::array<std::int64_t, kVec> rows;
      for (int l = 0; l < kVec; ++l) rows[static_cast<std::size_t>(l)] = block * kVec + l;
      load_lines(square.re.data(), side, rows.data(), side, re.data());
      load_lines(square.im.data(), side, rows.data(), side, im.data());
      fft.lines(re.data(), im.data());
      store_lines(square.re.data(), side, rows.data(), side, re.data());
      store_lines(square.im.data(), side, rows.data(), side, im.data());
    }
  });
}

}  // namespace invp
