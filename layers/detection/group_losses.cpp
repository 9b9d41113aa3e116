#include "layers/detection/group_losses.h"

#include <utility>

#include "engine/ops/basic/elementwise.h"

namespace invp {

Tensor sum_over_groups(std::vector<Tensor> terms) {
  CHECK(!terms.empty(), "[detection] no group to add up the losses of");
  while (terms.size() > 1) {
    std::vector<Tensor> pairs;
    for (std::size_t i = 0; i < terms.size(); i += 2)
      pairs.push_back(i + 1 < terms.size() ? add(terms[i], terms[i + 1]) : terms[i]);
    terms = std::move(pairs);
  }
  return terms.front();
}

}  // namespace invp
