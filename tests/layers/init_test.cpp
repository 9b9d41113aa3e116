#include "layers/init.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace invp {
namespace {

struct Moments {
  double mean, deviation, largest;
};

Moments moments(const Tensor& tensor) {
  double sum = 0;
  double squares = 0;
  double largest = 0;
  for (const float value : tensor.span<float>()) {
    sum += value;
    squares += static_cast<double>(value) * value;
    largest = std::max(largest, std::abs(static_cast<double>(value)));
  }
  const auto count = static_cast<double>(tensor.numel());
  return {sum / count, std::sqrt(squares / count), largest};
}

TEST(Init, ImagenetConvolutionsAreKaimingNormalFanOut) {
  const Moments m = moments(Initializer(InitScheme::kImagenet, 1).conv_weight({128, 3, 3, 64}));
  const double deviation = std::sqrt(2.0 / (128 * 9));
  EXPECT_NEAR(m.deviation, deviation, 0.02 * deviation);
  EXPECT_NEAR(m.mean, 0, 0.02 * deviation);
  EXPECT_GT(m.largest, 3.5 * deviation);  // a normal has tails
}

TEST(Init, ImagenetLinearIsXavierUniformWithZeroBias) {
  Initializer init(InitScheme::kImagenet, 1);
  const Moments m = moments(init.linear_weight(128, 512));
  const double bound = std::sqrt(6.0 / (128 + 512));
  EXPECT_LE(m.largest, bound);
  EXPECT_NEAR(m.deviation, bound / std::sqrt(3), 0.02 * bound);
  EXPECT_EQ(moments(init.linear_bias(128, 512)).largest, 0);
}

TEST(Init, CifarIsKaimingUniformWithASquareRootOfFive) {
  Initializer init(InitScheme::kCifar, 1);
  const Moments conv = moments(init.conv_weight({128, 3, 3, 64}));
  const double bound = 1 / std::sqrt(64.0 * 9);
  EXPECT_LE(conv.largest, bound);
  EXPECT_NEAR(conv.deviation, bound / std::sqrt(3), 0.02 * bound);
  const Moments bias = moments(init.linear_bias(4096, 100));
  EXPECT_LE(bias.largest, 0.1);
  EXPECT_NEAR(bias.deviation, 0.1 / std::sqrt(3), 0.003);
}

}  // namespace
}  // namespace invp
