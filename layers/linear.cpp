#include "layers/linear.h"

#include "engine/ops/basic/cast.h"
#include "layers/autocast.h"

namespace invp {

Linear::Linear(std::int64_t in, std::int64_t out, Initializer& init) {
  weight_ = add_parameter("weight", init.linear_weight(out, in));
  bias_ = add_parameter("bias", init.linear_bias(out, in));
}

Tensor Linear::forward(const Tensor& x) const {
  return linear(x, as_operand(weight_, x.dtype()), bias_);
}

Tensor Linear::forward_relu(const Tensor& x) const {
  return linear_relu(x, as_operand(weight_, x.dtype()), bias_);
}

Head::Head(HeadKind kind, std::int64_t in, std::int64_t dim, Initializer& init) {
  if (kind == HeadKind::kMlp) hidden_ = std::make_unique<Linear>(in, in, init);
  last_ = std::make_unique<Linear>(in, dim, init);
}

Tensor Head::forward(const Tensor& x) const {
  const Tensor input = hidden_ ? hidden_->forward_relu(x) : x;
  return cast(last_->forward(input), DType::kF32);
}

}  // namespace invp
