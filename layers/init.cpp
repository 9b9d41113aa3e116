#include "layers/init.h"

#include <algorithm>
#include <cmath>

#include "engine/core/parallel.h"

namespace invp {

// Blocks of elements have streams of their own, so that the values do not depend on the number of
// threads.
template <class Draw>
Tensor Initializer::fill(const Shape& shape, const Draw& draw) {
  constexpr std::int64_t kBlock = 4096;
  const MemoryScope scope(MemoryUse::kParameters);
  const Tensor tensor = Tensor::empty(shape);
  const std::span<float> values = tensor.span<float>();
  const std::uint64_t number = count_++;
  const std::int64_t blocks = (tensor.numel() + kBlock - 1) / kBlock;
  parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      Random random(seed_, Purpose::kInitialisation, static_cast<std::uint64_t>(block), number);
      const std::int64_t last = std::min(tensor.numel(), (block + 1) * kBlock);
      for (std::int64_t i = block * kBlock; i < last; ++i) {
        values[static_cast<std::size_t>(i)] = static_cast<float>(draw(random));
      }
    }
  });
  return tensor;
}

Tensor Initializer::uniform(const Shape& shape, double bound) {
  return fill(shape, [bound](Random& random) { return random.uniform(-bound, bound); });
}

Tensor Initializer::normal(const Shape& shape, double deviation) {
  return fill(shape, [deviation](Random& random) { return deviation * random.normal(); });
}

Tensor Initializer::conv_weight(const Shape& shape) {
  const auto window = static_cast<double>(shape[1] * shape[2]);
  const double fan_out = static_cast<double>(shape[0]) * window;
  const double fan_in = static_cast<double>(shape[3]) * window;
  if (scheme_ == InitScheme::kImagenet) return normal(shape, std::sqrt(2.0 / fan_out));
  // Kaiming uniform: gain^2 = 2 / (1 + a^2) = 1/3, bound = gain * sqrt(3 / fan_in)
  return uniform(shape, std::sqrt(1.0 / fan_in));
}

Tensor Initializer::linear_weight(std::int64_t out, std::int64_t in) {
  const double bound = scheme_ == InitScheme::kImagenet
                           ? std::sqrt(6.0 / static_cast<double>(in + out))
                           : std::sqrt(1.0 / static_cast<double>(in));
  return uniform({out, in}, bound);
}

Tensor Initializer::linear_bias(std::int64_t out, std::int64_t in) {
  const double bound =
      scheme_ == InitScheme::kImagenet ? 0.0 : std::sqrt(1.0 / static_cast<double>(in));
  return uniform({out}, bound);
}

}  // namespace invp
