// Convolution, pooling and RoIAlign of groups, held against the same operations on each group.
#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/ops/groups/conv2d_groups.h"
#include "engine/ops/groups/max_pool2d_groups.h"
#include "engine/ops/groups/roi_align_groups.h"
#include "engine/ops/groups/tree_sum.h"
#include "tests/engine/ops/groups/groups.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

class MapGroupsTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(MapGroupsTest);

const std::vector<MapSize> kSizes = {{2, 6, 5}, {1, 4, 9}, {3, 5, 5}};

/// The maps of a group as a leaf of its own.
Tensor own_leaf(const MapGroups& x, std::size_t group) {
  return x.map(group).clone().set_requires_grad(true);
}

TEST_P(MapGroupsTest, ConvolutionIsThatOfEachGroup) {
  const MapGroups x = random_groups(1, kSizes, 8, device());
  const Tensor w = leaf(random_values(2, 16 * 3 * 3 * 8), {16, 3, 3, 8}, device());
  const Tensor b = leaf(random_values(3, 16), {16}, device());
  const Conv2dParams params{.stride = 2, .padding = 1};
  const MapGroups y = conv2d(x, w, b, params);
  EXPECT_THAT(y.sizes,
              ::testing::ElementsAre(MapSize{2, 3, 3}, MapSize{1, 2, 5}, MapSize{3, 3, 3}));
  const Tensor dy = tensor(random_values(4, y.rows.numel()), y.rows.shape(), device());
  backward(y.rows, dy);
  TreeSum dw, db;
  for (std::size_t g = 0; g < kSizes.size(); ++g) {
    const Tensor alone = own_leaf(x, g);
    const Tensor w_alone = w.detach().clone().set_requires_grad(true);
    const Tensor b_alone = b.detach().clone().set_requires_grad(true);
    const Tensor of_group = conv2d(alone, w_alone, b_alone, params);
    EXPECT_EQ(values_of(y.map(g)), values_of(of_group));
    backward(of_group, y.map_of(dy, g));
    EXPECT_EQ(values_of(x.map_of(x.rows.grad(), g)), values_of(alone.grad()));
    dw.add(w_alone.grad().clone());
    db.add(b_alone.grad().clone());
  }
  EXPECT_EQ(values_of(w.grad()), values_of(dw.total()));
  EXPECT_EQ(values_of(b.grad()), values_of(db.total()));
}

TEST_P(MapGroupsTest, FusedConvolutionIsThatOfEachGroup) {
  const NoGrad no_grad;
  const MapGroups x = random_groups(1, kSizes, 8, device());
  const Tensor w = tensor(random_values(2, 8 * 8), {8, 1, 1, 8}, device());
  const Tensor b = tensor(random_values(3, 8), {8}, device());
  const Tensor residual = tensor(random_values(4, x.rows.numel()), x.rows.shape(), device());
  const MapGroups y = conv2d_fused(x, w, {.b = b, .residual = residual, .relu = true}, {});
  for (std::size_t g = 0; g < kSizes.size(); ++g) {
    const Tensor alone = conv2d_fused(
        x.map(g), w, {.b = b, .residual = x.map_of(residual, g).clone(), .relu = true}, {});
    EXPECT_EQ(values_of(y.map(g)), values_of(alone));
  }
}

TEST_P(MapGroupsTest, PoolingIsThatOfEachGroup) {
  const MapGroups x = random_groups(5, kSizes, 4, device());
  const MaxPool2dParams params{.kernel = 3, .stride = 2, .padding = 1};
  const MapGroups y = max_pool2d(x, params);
  const Tensor dy = tensor(random_values(6, y.rows.numel()), y.rows.shape(), device());
  backward(y.rows, dy);
  for (std::size_t g = 0; g < kSizes.size(); ++g) {
    const Tensor alone = own_leaf(x, g);
    const Tensor of_group = max_pool2d(alone, params);
    EXPECT_EQ(values_of(y.map(g)), values_of(of_group));
    backward(of_group, y.map_of(dy, g));
    EXPECT_EQ(values_of(x.map_of(x.rows.grad(), g)), values_of(alone.grad()));
  }
}

TEST_P(MapGroupsTest, RoiAlignIsThatOfEachGroup) {
  const MapGroups x = random_groups(7, kSizes, 4, device());
  const Values boxes = {0, 1, 2, 40, 50, 1, 0, 0, 80, 70, 0, 10, 10, 100, 60, 2, 5, 5, 60, 60};
  const GroupBoxes regions{.boxes = tensor(boxes, {4, 5}, device()), .counts = {2, 1, 1}};
  const RoiAlignParams params{.height = 4, .width = 6, .spatial_scale = 1.0F / 16, .step = 2};
  const MapGroups y = roi_align(x, regions, params);
  EXPECT_THAT(y.sizes,
              ::testing::ElementsAre(MapSize{2, 2, 3}, MapSize{1, 2, 3}, MapSize{1, 2, 3}));
  const Tensor dy = tensor(random_values(8, y.rows.numel()), y.rows.shape(), device());
  backward(y.rows, dy);
  for (std::size_t g = 0; g < kSizes.size(); ++g) {
    const Tensor alone = own_leaf(x, g);
    const Tensor of_group = roi_align(alone, regions.of(g), params);
    EXPECT_EQ(values_of(y.map(g)), values_of(of_group));
    backward(of_group, y.map_of(dy, g));
    EXPECT_EQ(values_of(x.map_of(x.rows.grad(), g)), values_of(alone.grad()));
  }
}

// 2^24 + 1 is no f32 number, so the order of a sum shows.
TEST_P(MapGroupsTest, TreeSumAddsNeighborsFirst) {
  const auto sum_of = [](const std::vector<double>& terms) {
    TreeSum sum;
    for (const double term : terms) sum.add(tensor({term}, {1}, device()));
    return values_of(sum.total())[0];
  };
  constexpr double kBig = 16777216;
  EXPECT_EQ(sum_of({kBig, 1, 1, 1}), kBig + 2);        // (big + 1) + (1 + 1)
  EXPECT_EQ(sum_of({kBig, 1, -kBig, 1}), 1);           // (big + 1) + (-big + 1) = big - (big - 1)
  EXPECT_EQ(sum_of({1, 1, kBig}), kBig + 2);           // an odd one waits
  EXPECT_EQ(sum_of({1, 1, 1, 1, kBig, 1}), kBig + 4);  // ((1+1)+(1+1)) + (big + 1)
  EXPECT_FALSE(TreeSum().total().defined());
}

// bf16 has 8 digits: 257 is none of its numbers, nor is 256 + 1.
TEST_P(MapGroupsTest, TreeSumRoundsEverySumToTheFormThatTravels) {
  const auto sum_of = [](const std::vector<double>& terms) {
    TreeSum sum(DType::kBF16);
    for (const double term : terms) sum.add(tensor({term}, {1}, device()));
    return values_of(sum.total())[0];
  };
  EXPECT_EQ(sum_of({257}), 256);              // a term alone is rounded, too
  EXPECT_EQ(sum_of({259}), 260);              // to the nearest
  EXPECT_EQ(sum_of({256, 1, 1, 1}), 258);     // 256 + 1 is 256 again, 1 + 1 is not lost
  EXPECT_EQ(sum_of({256, 1, 1, 1, 1}), 260);  // 258 + 1, to the even neighbor
  EXPECT_EQ(sum_of({1, 1, 1, 1, 256, 1}), 260);
  const Tensor kept = tensor({257}, {1}, device());
  TreeSum sum(DType::kBF16);
  sum.add(kept);
  sum.total();
  EXPECT_EQ(values_of(kept)[0], 257) << "another's tensor was rounded";
}

}  // namespace
}  // namespace invp::testing
