#include "engine/ops/detection/smooth_l1.h"

#include <gmock/gmock.h>

#include <numeric>

#include "engine/autograd/node.h"
#include "engine/ops/detection/boxes.h"
#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

class SmoothL1Test : public OpTest {};
RUN_ON_ALL_DEVICES(SmoothL1Test);
class SmoothL1GoldenTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(SmoothL1GoldenTest);

double value(double d, double beta) {
  const double size = std::abs(d);
  return beta < 1e-5 ? size : size < beta ? size * size / 2 / beta : size - beta / 2;
}
double slope(double d, double beta) {
  if (beta >= 1e-5 && std::abs(d) < beta) return d / beta;
  return d > 0 ? 1 : d < 0 ? -1 : 0;
}

TEST(SmoothL1Oracle, GradientMatchesCentralDifferences) {
  const Values x = random_values(1, 50);
  for (const double beta : {0.0, 0.3, 1.0}) {
    Values gradient;
    for (const double d : x) gradient.push_back(slope(d, beta));
    expect_gradient(
        [&](const Values& at) {
          double total = 0;
          for (const double d : at) total += value(d, beta);
          return total;
        },
        x, gradient);
  }
}

TEST_P(SmoothL1Test, MatchesReference) {
  for (const float beta : {0.0F, 0.25F, 1.0F}) {
    const Shape shape{7, 4};
    const Values x = random_values(2, 28);
    Values targets = random_values(3, 28);
    targets[5] = x[5];  // no distance
    double want = 0;
    Values gradient;
    for (std::size_t i = 0; i < 28; ++i) {
      want += value(x[i] - targets[i], static_cast<double>(beta)) / 3;
      gradient.push_back(slope(x[i] - targets[i], static_cast<double>(beta)) * 2 / 3);
    }
    const Tensor x_leaf = make_leaf(x, shape);
    const Tensor loss = smooth_l1(input(x_leaf), tensor(targets, shape, device()), {},
                                  {.beta = beta, .scale = 1.0 / 3});
    expect_close(loss, {want}, 28);
    backward(loss, tensor({2}, {}, device()));
    expect_close(x_leaf.grad(), gradient, 4, dtype());
  }
}

// Row 1 has no part, row 3 begins where no row of targets fits.
TEST_P(SmoothL1Test, TakesTheColumnsOfEachRow) {
  const Values x = random_values(4, 4 * 6);
  const Values targets = random_values(5, 4 * 2);
  const std::vector<std::int32_t> columns{4, -1, 0, 5};
  double want = 0;
  Values gradient(24, 0);
  for (const std::size_t row : {0u, 2u}) {
    for (std::size_t d = 0; d < 2; ++d) {
      const std::size_t i = row * 6 + static_cast<std::size_t>(columns[row]) + d;
      const double distance = x[i] - targets[row * 2 + d];
      want += value(distance, 0.5);
      gradient[i] = slope(distance, 0.5);
    }
  }
  const Tensor x_leaf = make_leaf(x, {4, 6});
  const Tensor loss = smooth_l1(input(x_leaf), tensor(targets, {4, 2}, device()),
                                Tensor::from(columns, {4}, device()), {.beta = 0.5F});
  expect_close(loss, {want}, 8);
  backward(loss);
  expect_close(x_leaf.grad(), gradient, 4, dtype());
}

TEST_P(SmoothL1GoldenTest, BendsAsTheReference) {
  for (const auto& [name, beta] :
       {std::pair{"0.000", 0.0F}, std::pair{"0.111", 1.0F / 9}, std::pair{"1.000", 1.0F}}) {
    const Tensor x = golden_op("losses.smooth_l1.x", device()).set_requires_grad(true);
    const Tensor zero = Tensor::zeros(x.shape(), DType::kF32, device());
    const Values values = values_of(golden_op(std::string("losses.smooth_l1.value_beta") + name));
    const Tensor loss = smooth_l1(x, zero, {}, {.beta = beta});
    const double want = std::accumulate(values.begin(), values.end(), 0.0);
    EXPECT_NEAR(loss.item(), want, 1e-6 * want);
    backward(loss);
    EXPECT_LT(
        golden_distance(x.grad(), golden_op(std::string("losses.smooth_l1.grad_beta") + name)),
        1e-6);
    x.set_grad({});
  }
}

// Two pictures of 360 anchors, of which those with label 1 count: a sum over 2 x 256 sampled.
TEST_P(SmoothL1GoldenTest, GivesTheLossOfTheProposals) {
  std::vector<std::int32_t> columns;
  for (const std::int64_t label : golden_integers("losses.rpn.labels")) {
    columns.push_back(label == 1 ? 0 : -1);
  }
  Values anchors = grid_anchors(4, 6);
  const Values once = anchors;
  anchors.insert(anchors.end(), once.begin(), once.end());
  const Tensor targets =
      encode_boxes(tensor(anchors, {720, 4}, device()),
                   golden_op("losses.rpn.matched_gt", device()).view({720, 4}), {});
  const Tensor deltas =
      golden_op("losses.rpn.deltas", device()).view({720, 4}).set_requires_grad(true);
  const Tensor loss = smooth_l1(deltas, targets, Tensor::from(columns, {720}, device()),
                                {.beta = 0, .scale = 1.0 / 512});
  EXPECT_LT(golden_distance(loss, golden_op("losses.rpn.loss_loc")), 1e-6);
  backward(loss);
  EXPECT_LT(golden_distance(deltas.grad(), golden_op("losses.rpn.grad_deltas")), 1e-6);
}

// The four deltas of the true class, over all 200 regions; 20 is the background.
TEST_P(SmoothL1GoldenTest, GivesTheLossOfTheRegions) {
  std::vector<std::int32_t> columns;
  for (const std::int64_t label : golden_integers("losses.roi.classes")) {
    columns.push_back(label < 20 ? static_cast<std::int32_t>(4 * label) : -1);
  }
  const Tensor targets = encode_boxes(golden_op("losses.roi.proposals", device()),
                                      golden_op("losses.roi.gt_boxes", device()), {10, 10, 5, 5});
  const Tensor loss =
      smooth_l1(golden_op("losses.roi.deltas", device()), targets,
                Tensor::from(columns, {200}, device()), {.beta = 0, .scale = 1.0 / 200});
  EXPECT_LT(golden_distance(loss, golden_op("losses.roi.loss_box_reg")), 1e-6);
}

TEST_P(SmoothL1Test, OfNothingIsZero) {
  const Tensor loss = smooth_l1(constant({}, {0, 4}), Tensor::zeros({0, 4}, DType::kF32, device()),
                                Tensor::zeros({0}, DType::kI32, device()), {});
  EXPECT_EQ(loss.item(), 0);
}

TEST(SmoothL1, RefusesOtherShapes) {
  const Tensor x = Tensor::zeros({3, 8});
  EXPECT_THAT(error_of([&] {
                smooth_l1(x, Tensor::zeros({3, 4}), {}, {});
              }),
              HasSubstr("targets must be f32 of shape (3, 8)"));
  EXPECT_THAT(error_of([&] {
                smooth_l1(x, Tensor::zeros({3, 4}), Tensor::zeros({3}), {});
              }),
              HasSubstr("columns must be i32"));
  EXPECT_THAT(error_of([&] { smooth_l1(x, x, {}, {.beta = -1}); }), HasSubstr("beta"));
}

}  // namespace
}  // namespace invp::testing
