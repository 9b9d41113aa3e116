#include "engine/ops/detection/roi_align.h"

#include <gmock/gmock.h>

#include <array>
#include <limits>

#include "engine/autograd/node.h"
#include "engine/core/layout.h"
#include "engine/core/parallel.h"
#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/gradient.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

class RoiAlignTest : public OpTest {};
RUN_ON_ALL_DEVICES(RoiAlignTest);
class RoiAlignGoldenTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(RoiAlignGoldenTest);

struct Case {
  Shape x;
  Values boxes;
  RoiAlignParams params;

  std::int64_t count() const { return std::ssize(boxes) / 5; }
  Shape y() const { return {count(), params.rows(), params.columns(), x[3]}; }
};

/// Calls visit(cell, weight) for the one or two cells that a sample at `at` reads along an axis.
template <class Visit>
void interpolate(double at, std::int64_t size, const Visit& visit) {
  if (!(at >= -1 && at <= static_cast<double>(size))) return;
  at = std::min(std::max(at, 0.0), static_cast<double>(size - 1));
  const auto low = static_cast<std::int64_t>(at);
  const double beyond = at - static_cast<double>(low);
  visit(low, 1 - beyond);
  if (beyond > 0) visit(low + 1, beyond);
}

/// Calls visit(index into y, index into x, weight) for every term: sample by sample, as defined.
template <class Visit>
void for_each_term(const Case& c, const Visit& visit) {
  const std::int64_t N = c.x[0], H = c.x[1], W = c.x[2], C = c.x[3];
  const auto scale = static_cast<double>(c.params.spatial_scale);
  for (std::int64_t box = 0; box < c.count(); ++box) {
    const double* const b = c.boxes.data() + box * 5;
    const auto picture = static_cast<std::int64_t>(b[0]);
    if (picture < 0 || picture >= N) continue;
    const double offset = c.params.aligned ? 0.5 : 0;
    const double left = b[1] * scale - offset;
    const double top = b[2] * scale - offset;
    double width = (b[3] - b[1]) * scale;
    double height = (b[4] - b[2]) * scale;
    if (!c.params.aligned) width = std::max(width, 1.0), height = std::max(height, 1.0);
    const double bin_w = width / c.params.width;
    const double bin_h = height / c.params.height;
    const int ratio = c.params.sampling_ratio;
    const auto across = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(bin_w));
    const auto down = ratio > 0 ? ratio : static_cast<std::int64_t>(std::ceil(bin_h));
    const double share = 1 / static_cast<double>(std::max<std::int64_t>(across * down, 1));
    const auto point = [](double start, std::int64_t bin, double length, std::int64_t i,
                          std::int64_t n) {
      return start + length * (static_cast<double>(bin) +
                               (static_cast<double>(i) + 0.5) / static_cast<double>(n));
    };
    const std::int64_t step = c.params.step;
    for (std::int64_t p = 0; p < c.params.rows(); ++p)
      for (std::int64_t q = 0; q < c.params.columns(); ++q)
        for (std::int64_t i = 0; i < down; ++i)
          for (std::int64_t j = 0; j < across; ++j)
            interpolate(point(top, p * step, bin_h, i, down), H, [&](std::int64_t h, double wh) {
              interpolate(point(left, q * step, bin_w, j, across), W,
                          [&](std::int64_t w, double ww) {
                            for (std::int64_t k = 0; k < C; ++k) {
                              const std::int64_t out =
                                  ((box * c.params.rows() + p) * c.params.columns() + q) * C + k;
                              const std::int64_t in = ((picture * H + h) * W + w) * C + k;
                              visit(static_cast<std::size_t>(out), static_cast<std::size_t>(in),
                                    wh * ww * share);
                            }
                          });
            });
  }
}

Values reference(const Case& c, const Values& x) {
  Values y(static_cast<std::size_t>(c.y().numel()));
  for_each_term(c,
                [&](std::size_t out, std::size_t in, double weight) { y[out] += weight * x[in]; });
  return y;
}

Values reference_backward(const Case& c, const Values& dy) {
  Values dx(static_cast<std::size_t>(c.x.numel()));
  for_each_term(
      c, [&](std::size_t out, std::size_t in, double weight) { dx[in] += weight * dy[out]; });
  return dx;
}

/// No sample of these lies where rounding decides whether it counts.
std::vector<Case> cases() {
  const RoiAlignParams head{.height = 14, .width = 14, .spatial_scale = 1.0F / 16};
  const RoiAlignParams every_second{
      .height = 14, .width = 14, .spatial_scale = 1.0F / 16, .step = 2};
  const RoiAlignParams fixed{.height = 7, .width = 5, .spatial_scale = 0.125F, .sampling_ratio = 2};
  const Values odd{
      0,  3,    5,   60,  70,   // inside
      1,  -90,  -40, 33,  21,   // partly outside
      1,  900,  900, 990, 950,  // outside
      0,  10,   20,  10,  90,   // no width
      0,  50,   60,  20,  30,   // inverted
      0,  -999, -7,  888, 99,   // larger than the map
      0,  3,    5,   60,  70,   // again
      1,  3.3,  0.7, 4.1, 66,   // thin
      2,  3,    5,   60,  70,   // of no picture
      -1, 3,    5,   60,  70,
  };
  return {
      {{2, 5, 7, 3}, odd, head},
      {{2, 9, 11, 20}, odd, fixed},
      {{2, 5, 7, 4}, odd, {.height = 3, .width = 4, .spatial_scale = 0.25F, .aligned = false}},
      {{2, 1, 1, 16}, odd, head},
      {{2, 5, 7, 20}, odd, every_second},
      {{2, 9, 11, 3}, odd, {.height = 8, .width = 5, .spatial_scale = 0.125F, .step = 3}},
      {{2, 9, 11, 3}, odd, {.height = 2, .width = 9, .spatial_scale = 0.125F, .step = 1024}},
      {{2, 1, 9, 8}, odd, fixed},
      {{1, 6, 6, 300}, {0, 8, 8, 70, 90, 0, 20, 4, 50, 77}, head},
      {{2, 6, 6, 5}, {}, head},
      {{2, 40, 33, 2}, {1, 9, 9, 9e4, 7e3, 0, -9e3, -9e3, 9e3, 9e3}, fixed},
  };
}

Tensor boxes_of(const Case& c, Device device) {
  return tensor(c.boxes, {c.count(), 5}, device);
}

TEST_P(RoiAlignTest, MatchesReference) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(message(c.x, " ", c.count(), " boxes"));
    const Values x = random_values(1, c.x.numel());
    const Tensor x_leaf = make_leaf(x, c.x);
    const Tensor y = roi_align(input(x_leaf), boxes_of(c, device()), c.params);
    EXPECT_EQ(y.shape(), c.y());
    EXPECT_EQ(y.dtype(), dtype());
    // Positions are rounded to f32 at up to 1e3 cells: weights err by 1e-4 there, else by 1e-6.
    const std::int64_t terms = c.x[1] > 30 ? 1 << 20 : 64;
    expect_close(y, reference(c, x), terms);

    const Values dy = random_values(2, c.y().numel());
    backward(y, constant(dy, c.y()));
    expect_close(x_leaf.grad(), reference_backward(c, dy), terms * 16, dtype());
  }
}

TEST(RoiAlignOracle, GradientMatchesCentralDifferences) {
  const Case c = cases()[1];
  const Case small{{2, 9, 11, 2}, c.boxes, c.params};
  const Values x = random_values(3, small.x.numel());
  const Values weights = random_values(4, small.y().numel());
  expect_gradient([&](const Values& v) { return inner(reference(small, v), weights); }, x,
                  reference_backward(small, weights));
}

TEST_P(RoiAlignGoldenTest, GivesWhatTorchvisionGives) {
  const RoiAlignParams head{.height = 14, .width = 14, .spatial_scale = 1.0F / 16};
  const std::vector<std::pair<std::string, RoiAlignParams>> golden_cases{
      {"a", head},
      {"b", {.spatial_scale = 1.0F / 8, .sampling_ratio = 2}},
      {"c", head},
      {"d", {.spatial_scale = 1.0F / 16, .sampling_ratio = 2}},
      {"e", {.spatial_scale = 1.0F / 16, .aligned = false}}};
  for (const auto& [name, params] : golden_cases) {
    SCOPED_TRACE(name);
    const auto tensor = [&, &letter = name](const char* what) {
      return golden_op("roi_align." + letter + "." + what);
    };
    Tensor x = channels_last(tensor("input")).to(device());
    x.set_requires_grad(true);
    const Tensor y = roi_align(x, tensor("rois").to(device()), params);
    EXPECT_LT(golden_distance(channels_first(y), tensor("output")), 1e-5);
    backward(y, channels_last(tensor("grad_output")).to(device()));
    EXPECT_LT(golden_distance(channels_first(x.grad()), tensor("grad_input")), 1e-5);
  }
}

/// The bins of `all` (n, height, width, C) that a step leaves.
Values every_bin(const Case& c, const Values& all) {
  Values left;
  const std::int64_t step = c.params.step, C = c.x[3];
  for (std::int64_t box = 0; box < c.count(); ++box)
    for (std::int64_t p = 0; p < c.params.height; p += step)
      for (std::int64_t q = 0; q < c.params.width; q += step) {
        const std::int64_t bin = (box * c.params.height + p) * c.params.width + q;
        left.insert(left.end(), all.begin() + bin * C, all.begin() + (bin + 1) * C);
      }
  return left;
}

TEST_P(RoiAlignTest, AStepLeavesBinsOutAndChangesNoOther) {
  for (const Case& c : cases()) {
    if (c.params.step == 1) continue;
    SCOPED_TRACE(message(c.x, " step ", c.params.step));
    Case whole = c;
    whole.params.step = 1;
    const Tensor x = constant(random_values(8, c.x.numel()), c.x);
    const Values all = values_of(roi_align(x, boxes_of(c, device()), whole.params));
    EXPECT_EQ(values_of(roi_align(x, boxes_of(c, device()), c.params)), every_bin(c, all));
  }
}

// A ramp is interpolated exactly, and a constant stays what it is.
TEST_P(RoiAlignTest, FollowsARamp) {
  Values ramp;
  for (int h = 0; h < 20; ++h)
    for (int w = 0; w < 20; ++w) ramp.insert(ramp.end(), {static_cast<double>(w), 3.0});
  const Tensor y =
      roi_align(constant(ramp, {1, 20, 20, 2}), tensor({0, 32, 32, 256, 256}, {1, 5}, device()),
                {.height = 14, .width = 14, .spatial_scale = 1.0F / 16});
  const Values values = values_of(y);
  for (std::size_t q = 0; q < 14; ++q) {
    EXPECT_NEAR(values[q * 2], (32 + (static_cast<double>(q) + 0.5) * 16) / 16 - 0.5, 1e-5);
    EXPECT_NEAR(values[q * 2 + 1], 3, 1e-6);
  }
}

// Neither time nor memory may follow from the size of a box alone.
TEST_P(RoiAlignTest, BearsBoxesOfAnySize) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  const Values boxes{0, -3e38, -3e38,      3e38, 3e38,      0,   0,   0, 1e17, 1e17,
                     0, -1e17, 0,          1e17, 9,         0,   nan, 0, 9,    9,
                     0, 0,     -kInfinity, 9,    kInfinity, nan, 0,   0, 9,    9};
  for (const int ratio : {0, 3}) {
    const Tensor x = make_leaf(random_values(5, 2 * 4 * 4 * 3), {2, 4, 4, 3});
    const Tensor y = roi_align(input(x), tensor(boxes, {6, 5}, device()),
                               {.height = 7, .width = 7, .sampling_ratio = ratio});
    for (const double value : values_of(y)) ASSERT_LE(std::abs(value), 2.01);
    backward(y, constant(Values(static_cast<std::size_t>(y.numel()), 1), y.shape()));
    for (const double value : values_of(x.grad())) ASSERT_TRUE(std::isfinite(value));
  }
}

TEST_P(RoiAlignTest, GivesTheSameBitsForAnyNumberOfThreads) {
  const Case c{{2, 9, 11, 70}, cases()[0].boxes, cases()[0].params};
  const int before = num_threads();
  std::array<std::array<Tensor, 2>, 3> results;
  for (std::size_t i = 0; i < 3; ++i) {
    set_num_threads(std::array{1, 2, 7}[i]);
    const Tensor x = make_leaf(random_values(6, c.x.numel()), c.x);
    const Tensor y = roi_align(input(x), boxes_of(c, device()), c.params);
    backward(y, constant(random_values(7, c.y().numel()), c.y()));
    results[i] = {y.detach(), x.grad()};
  }
  set_num_threads(before);
  for (std::size_t i = 1; i < 3; ++i) {
    expect_identical(results[i][0], results[0][0]);
    expect_identical(results[i][1], results[0][1]);
  }
}

TEST(RoiAlign, RefusesWhatItCannotPool) {
  const Tensor x = Tensor::zeros({1, 4, 4, 2});
  const Tensor boxes = Tensor::zeros({3, 5});
  const auto error = [&](const Tensor& map, const Tensor& regions, const RoiAlignParams& params) {
    return error_of([&] { roi_align(map, regions, params); });
  };
  EXPECT_THAT(error(x, Tensor::zeros({3, 4}), {}), HasSubstr("boxes must be f32 of shape (n, 5)"));
  EXPECT_THAT(error(Tensor::zeros({1, 0, 4, 2}), boxes, {}), HasSubstr("a map of (N,H,W,C)"));
  EXPECT_THAT(error(x, boxes, {.height = 0}), HasSubstr("0 x 7 bins"));
  EXPECT_THAT(error(x, boxes, {.sampling_ratio = -1}), HasSubstr("sampling_ratio"));
  EXPECT_THAT(error(x, boxes, {.step = 0}), HasSubstr("step must lie in [1, 1024], got 0"));
  EXPECT_THAT(error(x, boxes, {.spatial_scale = 0}), HasSubstr("spatial_scale"));
}

}  // namespace
}  // namespace invp::testing
