#include "engine/core/layout.h"

#include <gtest/gtest.h>

#include <numeric>

namespace invp {
namespace {

// The element at [n, c, h, w] must be found at [n, h, w, c], for every element and every width of
// element.
template <class T>
void expect_permuted(std::int64_t N, std::int64_t C, std::int64_t H, std::int64_t W) {
  std::vector<T> values(static_cast<std::size_t>(N * C * H * W));
  for (std::size_t i = 0; i < values.size(); ++i)
    values[i] = static_cast<T>(static_cast<float>(i % 251));
  const Tensor first = Tensor::from(values, {N, C, H, W});
  const Tensor last = channels_last(first);
  ASSERT_EQ(last.shape(), (Shape{N, H, W, C}));
  ASSERT_EQ(last.dtype(), first.dtype());
  for (std::int64_t n = 0; n < N; ++n) {
    for (std::int64_t c = 0; c < C; ++c) {
      for (std::int64_t h = 0; h < H; ++h) {
        for (std::int64_t w = 0; w < W; ++w) {
          ASSERT_EQ(static_cast<double>(
                        static_cast<float>(last.data<T>()[((n * H + h) * W + w) * C + c])),
                    static_cast<double>(
                        static_cast<float>(first.data<T>()[((n * C + c) * H + h) * W + w])));
        }
      }
    }
  }
  const Tensor back = channels_first(last);
  ASSERT_EQ(back.shape(), first.shape());
  EXPECT_EQ(std::memcmp(back.raw(), first.raw(), first.nbytes()), 0);
}

TEST(Layout, MovesEveryElementOfEveryDtype) {
  expect_permuted<float>(2, 3, 4, 5);
  expect_permuted<BFloat16>(3, 2, 1, 7);
  expect_permuted<std::int64_t>(1, 4, 3, 2);
  expect_permuted<std::uint8_t>(2, 1, 5, 3);
}

TEST(Layout, EmptyTensorsStayEmpty) {
  EXPECT_EQ(channels_last(Tensor::empty({0, 3, 4, 5})).shape(), (Shape{0, 4, 5, 3}));
}

TEST(Layout, RefusesOtherRanksByShape) {
  try {
    channels_last(Tensor::zeros({2, 3}));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "[layout] images and convolution weights have 4 dimensions, got (2, 3)");
  }
}

}  // namespace
}  // namespace invp
