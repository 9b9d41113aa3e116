// The initial weights of the paper's networks. The values of a tensor are a function of the seed
// and of its number in the network.
#pragma once

#include "engine/core/random.h"
#include "engine/core/tensor.h"

namespace invp {

/// Which networks: the ImageNet ones and the CIFAR/SVHN ones of the released code are initialised
/// differently.
enum class InitScheme {
  kImagenet,  ///< convolutions Kaiming normal, fan-out, ReLU gain; linear Xavier uniform, zero bias
  kCifar,     ///< PyTorch's default: Kaiming uniform with a = sqrt(5), linear biases
              ///< U(+-1/sqrt(fan_in))
};

/// Numbers tensors in the order of construction; the number is part of their random stream's
/// address.
class Initializer {
 public:
  Initializer(InitScheme scheme, std::uint64_t seed) : scheme_(scheme), seed_(seed) {}

  Tensor conv_weight(const Shape& shape);  ///< (K, R, S, C)
  Tensor linear_weight(std::int64_t out, std::int64_t in);
  Tensor linear_bias(std::int64_t out, std::int64_t in);
  Tensor normal(const Shape& shape, double deviation);  ///< around 0

 private:
  Tensor uniform(const Shape& shape, double bound);
  template <class Draw>
  Tensor fill(const Shape& shape, const Draw& draw);

  InitScheme scheme_;
  std::uint64_t seed_;
  std::uint64_t count_ = 0;
};

}  // namespace invp
