#include "engine/core/tensor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/support/devices.h"

namespace invp {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

template <class Body>
std::string error_of(const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

TEST(Tensor, ViewsShareElements) {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4, 5, 6}, {3, 2});
  const Tensor flat = x.view({6});
  const Tensor tail = x.slice(1, 3);
  flat.data<float>()[5] = 60;
  EXPECT_THAT(tail.span<float>(), ElementsAre(3, 4, 5, 60));
  EXPECT_EQ(tail.shape(), (Shape{2, 2}));
  EXPECT_EQ(x.slice(2, 2).numel(), 0);
  EXPECT_FALSE(x.clone().data<float>() == x.data<float>());
}

class MoveTest : public testing::DeviceTest {};
RUN_ON_EACH_DEVICE(MoveTest);

TEST_P(MoveTest, AllHandlesSeeTheElementsMove) {
  Tensor x = Tensor::from<float>({1, 2, 3}, {3});
  x.set_requires_grad(true);
  x.set_grad(Tensor::from<float>({4, 5, 6}, {3}));
  const Tensor handle = x;
  x.move_to(device());
  EXPECT_EQ(handle.device(), device());
  EXPECT_EQ(handle.grad().device(), device());
  EXPECT_TRUE(handle.requires_grad());
  EXPECT_THAT(handle.to(kCpu).span<float>(), ElementsAre(1, 2, 3));
  EXPECT_THAT(handle.grad().to(kCpu).span<float>(), ElementsAre(4, 5, 6));
  handle.move_to(kCpu);
  EXPECT_THAT(x.span<float>(), ElementsAre(1, 2, 3));
}

TEST_P(MoveTest, ViewsWouldStayBehind) {
  const Tensor x = Tensor::from<float>({1, 2, 3, 4}, {2, 2});
  {
    const Tensor row = x.slice(1, 2);
    if (device() != kCpu) {
      EXPECT_THAT(error_of([&] { x.move_to(device()); }), HasSubstr("a view shares"));
    }
    EXPECT_EQ(x.device(), kCpu);
  }
  EXPECT_NO_THROW(x.move_to(device()));
}

TEST(Tensor, EmptyTensorsAreTensors) {
  const Tensor x = Tensor::zeros({0, 3});
  EXPECT_EQ(x.numel(), 0);
  EXPECT_EQ(x.view({3, 0}).shape(), (Shape{3, 0}));
  EXPECT_EQ(x.clone().numel(), 0);
}

TEST(Tensor, ErrorsCarryShapes) {
  const Tensor x = Tensor::zeros({3, 2});
  EXPECT_THAT(error_of([&] { x.view({7}); }), HasSubstr("(3, 2) cannot be viewed as (7)"));
  EXPECT_THAT(error_of([&] { x.slice(2, 4); }), HasSubstr("rows 2 to 4 of shape (3, 2)"));
  EXPECT_THAT(error_of([&] { (void)x.data<std::int64_t>(); }), HasSubstr("holds f32, read as i64"));
  EXPECT_THAT(error_of([&] { x.item(); }), HasSubstr("one element"));
  EXPECT_THAT(error_of([&] {
                x.copy_from(Tensor::zeros({2, 3}));
              }),
              HasSubstr("cannot copy f32(2, 3)"));
  EXPECT_THAT(error_of([&] { (void)Tensor().shape(); }), HasSubstr("before it was given elements"));
  EXPECT_THAT(error_of([&] {
                Tensor::from<float>({1, 2}, {3});
              }),
              HasSubstr("2 values for shape (3)"));
}

TEST(BFloat16, RoundsToNearestEven) {
  EXPECT_EQ(static_cast<float>(BFloat16(1.0F)), 1.0F);
  EXPECT_EQ(BFloat16(1.0F + 0x1p-8F).bits, BFloat16(1.0F).bits);              // a tie goes to even
  EXPECT_EQ(static_cast<float>(BFloat16(1.0F + 0x1.8p-7F)), 1.0F + 0x1p-6F);  // so does the next
  EXPECT_TRUE(std::isnan(static_cast<float>(BFloat16(std::numeric_limits<float>::quiet_NaN()))));
  EXPECT_EQ(static_cast<float>(BFloat16(std::numeric_limits<float>::infinity())),
            std::numeric_limits<float>::infinity());
  EXPECT_EQ(static_cast<float>(BFloat16(std::numeric_limits<float>::max())),
            std::numeric_limits<float>::infinity());
}

}  // namespace
}  // namespace invp
