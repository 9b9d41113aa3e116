// A sum over groups whose bits do not depend on who computes which of them: neighbors are added,
// then neighboring pairs, and so on; an odd one waits. With kBF16 every term and every sum of two
// is rounded to 16 bits, so that they can travel between processes as that, wherever they are
// added.
#pragma once

#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// Takes the terms one after another and keeps as many partial sums as the number of terms has
/// binary digits.
class TreeSum {
 public:
  /// `form`: kF32 or kBF16.
  explicit TreeSum(DType form = DType::kF32) : form_(form) {}
  /// f32 of one shape. The term's memory is used if this is its only handle.
  void add(Tensor term);
  /// Undefined without terms.
  Tensor total();

 private:
  struct Partial {
    Tensor sum;
    std::int64_t terms;
  };
  Tensor joined(Tensor left, const Tensor& right) const;
  Tensor rounded(Tensor x) const;

  DType form_;
  std::vector<Partial> partials_;  ///< of falling numbers of terms
};

}  // namespace invp
