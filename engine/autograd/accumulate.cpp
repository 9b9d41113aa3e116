#include "engine/autograd/accumulate.h"

namespace invp {

void accumulate(const Tensor& total, const Tensor& x) {
  CHECK(total.shape() == x.shape(), "[accumulate] shapes differ: ", total.shape(),
        " += ", x.shape());
  CHECK(total.device() == x.device(), "[accumulate] devices differ: ", total.device(),
        " += ", x.device());
  DISPATCH(total.device(), accumulate, total, x);
}

}  // namespace invp
