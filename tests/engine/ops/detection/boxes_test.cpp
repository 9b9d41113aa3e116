#include "engine/ops/detection/boxes.h"

#include <gmock/gmock.h>

#include <limits>

#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Pointwise;

class BoxesTest : public DeviceTest {
 protected:
  static Tensor on_device(const Values& values, const Shape& shape) {
    return tensor(values, shape, device());
  }
};
RUN_ON_EACH_DEVICE(BoxesTest);

constexpr BoxWeights kHead{10, 10, 5, 5};

TEST_P(BoxesTest, EncodesAndDecodesAsDetectron2) {
  const Tensor source = golden_op("boxes.src", device());
  const Tensor target = golden_op("boxes.dst", device());
  const Tensor deltas = golden_op("boxes.deltas", device());
  for (const auto& [name, weights] :
       {std::pair{std::string("rpn"), BoxWeights{}}, std::pair{std::string("roi"), kHead}}) {
    const Tensor encoded = encode_boxes(source, target, weights);
    EXPECT_LT(golden_distance(encoded, golden_op("boxes." + name + ".encoded")), 1e-5);
    EXPECT_LT(golden_distance(decode_boxes(encoded, source, weights), target), 1e-5);
    EXPECT_LT(golden_distance(decode_boxes(deltas, source, weights),
                              golden_op("boxes." + name + ".decoded")),
              1e-5);
  }
}

TEST_P(BoxesTest, OverlapsAreThoseOfTheReferenceToTheBit) {
  expect_identical(box_iou(golden_op("boxes.iou.a", device()), golden_op("boxes.iou.b", device())),
                   golden_op("boxes.iou"));
}

TEST_P(BoxesTest, OverlapsByHand) {
  const Tensor boxes = on_device({0, 0, 4, 4,   //
                                  2, 2, 6, 6,   // shares 2 x 2 with the first
                                  4, 0, 8, 4,   // touches it
                                  1, 1, 1, 3,   // empty
                                  3, 3, 1, 1},  // inverted
                                 {5, 4});
  const Tensor ious = box_iou(boxes.slice(0, 1), boxes);
  EXPECT_EQ(ious.shape(), (Shape{1, 5}));
  EXPECT_THAT(values_of(ious),
              Pointwise(::testing::DoubleNear(1e-7), {1.0, 4.0 / 28, 0.0, 0.0, 0.0}));
  EXPECT_EQ(values_of(box_iou(boxes.slice(3, 4), boxes.slice(3, 4))).front(), 0);
  EXPECT_EQ(box_iou(boxes, boxes.slice(0, 0)).shape(), (Shape{5, 0}));
}

TEST_P(BoxesTest, CandidatesAreChosenDecodedClippedAndSound) {
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const Tensor boxes = on_device({0, 0, 10, 10,     //
                                  90, 40, 110, 60,  // half beyond the right border
                                  200, 0, 220, 10,  // outside
                                  0, 0, 20, 20},
                                 {4, 4});
  Values deltas(2 * 4 * 4, 0);
  deltas[12] = 0.5;        // picture 0, box 3: half a width to the right
  deltas[16] = kInfinity;  // picture 1, box 0
  const Tensor rows =
      Tensor::from(std::vector<std::int32_t>{3, 1, 2, -1, 0, 1, 3, 2}, {2, 4}, device());
  const Candidates found =
      candidate_boxes(on_device({1, 2, 3, 4, 5, 6, 7, 8}, {2, 4}), on_device(deltas, {2, 4, 4}),
                      boxes, rows, on_device({50, 100, 100, 1000}, {2, 2}), {});
  const double nan = std::numeric_limits<double>::quiet_NaN();
  expect_close(found.scores, {4, 2, nan, nan, nan, 6, 8, 7});
  expect_close(found.boxes, {10, 0, 30, 20, 90, 40, 100, 50, 0, 0, 0,  0,  0,   0, 0,   0,  //
                             0,  0, 0,  0,  90, 40, 110, 60, 0, 0, 20, 20, 200, 0, 220, 10});
  const Tensor taken = take_boxes(found.boxes, rows.slice(0, 2));
  EXPECT_EQ(taken.shape(), (Shape{2, 4, 4}));
  const Values values = values_of(taken);
  EXPECT_THAT(std::vector(values.begin() + 4, values.begin() + 8), ElementsAre(90, 40, 100, 50));
  EXPECT_THAT(std::vector(values.begin() + 12, values.begin() + 16), ElementsAre(0, 0, 0, 0));
}

TEST(Boxes, RefuseOtherShapes) {
  const Tensor boxes = Tensor::zeros({3, 4});
  EXPECT_THAT(error_of([&] {
                box_iou(boxes, Tensor::zeros({3, 5}));
              }),
              HasSubstr("the second boxes must be f32 of shape (n, 4)"));
  EXPECT_THAT(error_of([&] {
                encode_boxes(boxes, Tensor::zeros({2, 4}), {});
              }),
              HasSubstr("targets must be f32 of shape (3, 4)"));
  EXPECT_THAT(error_of([&] {
                decode_boxes(Tensor::zeros({3, 6}), boxes, {});
              }),
              HasSubstr("deltas must be f32 of shape (3, 4 k)"));
  EXPECT_THAT(error_of([&] {
                take_boxes(boxes, Tensor::zeros({1, 2}, DType::kI32));
              }),
              HasSubstr("boxes must be f32 of shape (B, n, 4)"));
}

}  // namespace
}  // namespace invp::testing
