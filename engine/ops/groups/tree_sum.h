// A sum over groups whose bits do not depend on who computes which of them: neighbors are added,
// then neighboring pairs, and so on; an odd one waits.
#pragma once

#include <utility>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

/// Takes the terms one after another and keeps as many partial sums as the number of terms has
/// binary digits.
class TreeSum {
 public:
  /// f32 of one shape. The term's memory is used if this is its only handle.
  void add(Tensor term);
  /// Undefined without terms.
  Tensor total();

 private:
  struct Partial {
    Tensor sum;
    std::int64_t terms;
  };
  static Tensor joined(Tensor left, const Tensor& right);

  std::vector<Partial> partials_;  ///< of falling numbers of terms
};

}  // namespace invp
