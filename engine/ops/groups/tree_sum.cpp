#include "engine/ops/groups/tree_sum.h"

#include "engine/autograd/accumulate.h"
#include "engine/ops/basic/cast.h"

namespace invp {

Tensor TreeSum::rounded(Tensor x) const {
  if (form_ == DType::kF32) return x;
  if (!x.unique()) x = x.clone();
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor narrow = Tensor::empty(x.shape(), form_, x.device());
  DISPATCH(x.device(), cast, x, narrow);
  DISPATCH(x.device(), cast, narrow, x);
  return x;
}

Tensor TreeSum::joined(Tensor left, const Tensor& right) const {
  if (!left.unique()) left = left.clone();
  accumulate(left, right);
  return rounded(std::move(left));
}

void TreeSum::add(Tensor term) {
  Partial partial{rounded(std::move(term)), 1};
  while (!partials_.empty() && partials_.back().terms == partial.terms) {
    partial.sum = joined(std::move(partials_.back().sum), partial.sum);
    partial.terms *= 2;
    partials_.pop_back();
  }
  partials_.push_back(std::move(partial));
}

Tensor TreeSum::total() {
  Tensor sum;
  while (!partials_.empty()) {
    Tensor left = std::move(partials_.back().sum);
    partials_.pop_back();
    sum = sum.defined() ? joined(std::move(left), sum) : std::move(left);
  }
  return sum;
}

}  // namespace invp
