// The extents of a dense row-major tensor.
#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <ostream>
#include <span>

#include "engine/core/error.h"

namespace invp {

class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;  ///< rank 0: a scalar
  Shape(std::initializer_list<std::int64_t> dims) : Shape(std::span(dims.begin(), dims.size())) {}
  explicit Shape(std::span<const std::int64_t> dims) : rank_(static_cast<int>(dims.size())) {
    CHECK(dims.size() <= kMaxRank, "[shape] at most ", kMaxRank, " dimensions, got ", dims.size());
    for (int i = 0; i < rank_; ++i) {
      dims_[static_cast<std::size_t>(i)] = dims[static_cast<std::size_t>(i)];
      CHECK((*this)[i] >= 0, "[shape] negative extent ", (*this)[i], " in dimension ", i);
    }
  }

  int rank() const { return rank_; }
  std::int64_t operator[](int i) const {
    return dims_[static_cast<std::size_t>(i < 0 ? i + rank_ : i)];
  }
  std::int64_t numel() const {
    std::int64_t product = 1;
    for (const std::int64_t dim : dims()) product *= dim;
    return product;
  }
  std::span<const std::int64_t> dims() const {
    return {dims_.data(), static_cast<std::size_t>(rank_)};
  }

  bool operator==(const Shape& other) const = default;

 private:
  std::array<std::int64_t, kMaxRank> dims_{};
  int rank_ = 0;
};

/// "(2, 3, 4)", the way shapes appear in every error text.
inline std::ostream& operator<<(std::ostream& out, const Shape& shape) {
  out << '(';
  for (int i = 0; i < shape.rank(); ++i) out << (i == 0 ? "" : ", ") << shape[i];
  return out << ')';
}

}  // namespace invp
