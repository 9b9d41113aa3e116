#include "engine/ops/basic/reshape.h"

#include "engine/autograd/node.h"

namespace invp {

Tensor reshape(const Tensor& x, const Shape& shape) {
  CHECK(shape.numel() == x.numel(), "[reshape] ", x.shape(), " has ", x.numel(),
        " elements, it cannot become ", shape);
  return record("reshape", x.view(shape), {x}, [&] {
    return [from = x.shape()](const Tensor& dy, const Needs&) -> Grads { return {dy.view(from)}; };
  });
}

Tensor flatten(const Tensor& x) {
  CHECK(x.rank() >= 1, "[flatten] needs a first dimension to keep, got a scalar");
  std::int64_t rest = 1;
  for (const std::int64_t dim : x.shape().dims().subspan(1)) rest *= dim;
  return reshape(x, {x.dim(0), rest});
}

Tensor slice_rows(const Tensor& x, std::int64_t begin, std::int64_t end) {
  return record("slice_rows", x.slice(begin, end), {x}, [&] {
    return [shape = x.shape(), begin, end](const Tensor& dy, const Needs&) -> Grads {
      if (dy.shape() == shape) return {dy};
      const Tensor dx = Tensor::zeros(shape, dy.dtype(), dy.device());
      dx.slice(begin, end).copy_from(dy);
      return {dx};
    };
  });
}

}  // namespace invp
