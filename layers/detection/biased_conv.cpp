#include "layers/detection/biased_conv.h"

#include "engine/ops/basic/reshape.h"
#include "layers/autocast.h"

namespace invp {

namespace {

Tensor zero_bias(std::int64_t out) {
  const MemoryScope scope(MemoryUse::kParameters);
  return Tensor::zeros({out});
}

}  // namespace

BiasedConv::BiasedConv(std::int64_t in, std::int64_t out, int kernel, double deviation,
                       Initializer& init)
    : weight_(add_parameter("weight", init.normal({out, kernel, kernel, in}, deviation))),
      bias_(add_parameter("bias", zero_bias(out))),
      params_{.padding = kernel / 2} {}

MapGroups BiasedConv::forward(const MapGroups& x) const {
  return conv2d(x, as_operand(weight_, x.rows.dtype()), bias_, params_);
}

GroupLinear::GroupLinear(std::int64_t in, std::int64_t out, double deviation, Initializer& init)
    : weight_(add_parameter("weight", init.normal({out, in}, deviation))),
      bias_(add_parameter("bias", zero_bias(out))) {}

MapGroups GroupLinear::forward(const MapGroups& x) const {
  const Shape filters{weight_.dim(0), 1, 1, weight_.dim(1)};
  return conv2d(x, reshape(as_operand(weight_, x.rows.dtype()), filters), bias_);
}

}  // namespace invp
