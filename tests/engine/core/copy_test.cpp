// Copies between the host and each device, and on it.
#include <gmock/gmock.h>

#include <cstring>
#include <numeric>

#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

class CopyTest : public DeviceTest {
 protected:
  static std::vector<std::int64_t> counted(std::int64_t n, std::int64_t first = 0) {
    std::vector<std::int64_t> values(static_cast<std::size_t>(n));
    std::iota(values.begin(), values.end(), first);
    return values;
  }
  static Tensor make(const std::vector<std::int64_t>& values, const Shape& shape) {
    return Tensor::from(values, shape, device());
  }
};
RUN_ON_EACH_DEVICE(CopyTest);

std::vector<std::int64_t> elements(const Tensor& x) {
  const Tensor host = x.to(kCpu);
  const auto span = host.span<std::int64_t>();
  return {span.begin(), span.end()};
}

TEST_P(CopyTest, ThereAndBack) {
  for (const std::int64_t n : {0, 1, 3, 100'003}) {
    const Tensor x = make(counted(n), {n});
    EXPECT_EQ(x.device(), device());
    EXPECT_EQ(elements(x), counted(n));
  }
}

// 68 MB and a bit pass through staging memory of 64 MB in parts. The host's elements are
// overwritten as soon as the call returns.
TEST_P(CopyTest, UploadsLargerThanStagingMemory) {
  const std::int64_t n = 8'500'003;
  const Tensor host = Tensor::from(counted(n), {n});
  const Tensor x = Tensor::empty({n}, DType::kI64, device());
  x.copy_from(host);
  std::memset(host.raw(), 0xFF, host.nbytes());
  const std::vector<std::int64_t> back = elements(x);
  EXPECT_EQ(back, counted(n));
}

TEST_P(CopyTest, ManyUploadsInARow) {
  std::vector<Tensor> tensors;
  for (std::int64_t i = 0; i < 100; ++i) {
    const std::int64_t n = 1 + i * i * 7 % 100'000;
    tensors.push_back(make(counted(n, i), {n}));
  }
  for (std::int64_t i = 0; i < 100; ++i) {
    const Tensor& x = tensors[static_cast<std::size_t>(i)];
    ASSERT_EQ(elements(x), counted(x.numel(), i));
  }
}

TEST_P(CopyTest, SlicesGoWhereTheyBelong) {
  const Tensor x = make(counted(30), {10, 3});
  x.slice(2, 4).copy_from(make(counted(6, 100), {2, 3}));                    // on the device
  x.slice(5, 6).copy_from(Tensor::from(counted(3, 200), {1, 3}));            // from the host
  Tensor::from(counted(30), {10, 3}).slice(0, 2).copy_from(x.slice(8, 10));  // to the host
  std::vector<std::int64_t> expected = counted(30);
  std::iota(expected.begin() + 6, expected.begin() + 12, 100);
  std::iota(expected.begin() + 15, expected.begin() + 18, 200);
  EXPECT_EQ(elements(x), expected);
  EXPECT_THAT(elements(x.slice(5, 6)), ::testing::ElementsAre(200, 201, 202));
}

TEST_P(CopyTest, ClonesAreApart) {
  const Tensor x = make(counted(1000), {1000});
  const Tensor copy = x.clone();
  EXPECT_EQ(copy.device(), device());
  x.zero();
  EXPECT_EQ(elements(copy), counted(1000));
  EXPECT_EQ(elements(x), std::vector<std::int64_t>(1000));
}

TEST_P(CopyTest, FillsBytes) {
  const Tensor x = Tensor::empty({1001}, DType::kU8, device());
  fill_bytes(x.raw(), 0x5A, x.nbytes(), device());
  fill_bytes(x.slice(3, 5).raw(), 0, 2, device());
  fill_bytes(x.raw(), 1, 0, device());
  const Tensor host = x.to(kCpu);
  for (std::int64_t i = 0; i < 1001; ++i) {
    ASSERT_EQ(host.data<std::uint8_t>()[i], i == 3 || i == 4 ? 0 : 0x5A) << i;
  }
}

}  // namespace
}  // namespace invp::testing
