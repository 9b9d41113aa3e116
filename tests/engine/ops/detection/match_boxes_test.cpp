#include "engine/ops/detection/match_boxes.h"

#include <gmock/gmock.h>

#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class MatchBoxesTest : public DeviceTest {
 protected:
  static Tensor integers(const std::vector<std::int32_t>& values) {
    return Tensor::from(values, {std::ssize(values)}, device());
  }
};
RUN_ON_EACH_DEVICE(MatchBoxesTest);

constexpr MatchParams kHead{.low = 0.5F, .high = 0.5F, .low_quality = false};

void expect_golden(const Matches& matches, const std::string& name) {
  EXPECT_EQ(integers_of(matches.objects), golden_integers("match." + name + ".matched")) << name;
  EXPECT_EQ(integers_of(matches.labels), golden_integers("match." + name + ".label")) << name;
}

// Among them an object that no anchor touches, twins, and none at all.
TEST_P(MatchBoxesTest, MatchesAsDetectron2) {
  const Tensor boxes = tensor(grid_anchors(15, 20), {4500, 4}, device());
  for (const std::string name : {"a", "b", "c", "d"}) {
    const Tensor objects = golden_op("match.rpn." + name + ".gt", device());
    const std::int64_t count = objects.dim(0);
    const Tensor lists = objects.view({1, count, 4});
    const Tensor counts = integers({static_cast<std::int32_t>(count)});
    expect_golden(match_boxes(lists, counts, boxes, {}, {}), "rpn." + name);
    if (name == "c") continue;
    expect_golden(match_boxes(lists, counts, golden_op("match.roi.proposals", device()), {}, kHead),
                  "roi." + name);
  }
}

// Objects beyond a picture's own, and boxes beyond its own, are not there.
TEST_P(MatchBoxesTest, KeepsPicturesApart) {
  const Tensor objects = tensor({0, 0, 10, 10, 20, 20, 30, 30,  //
                                 40, 40, 50, 50, 0, 0, 10, 10},
                                {2, 2, 4}, device());
  const Tensor boxes = tensor({0, 0, 10, 10, 21, 20, 30, 30, 40, 40, 48, 50,  //
                               0, 0, 10, 10, 40, 40, 46, 50, 40, 40, 50, 50},
                              {2, 3, 4}, device());
  const Matches matches =
      match_boxes(objects, integers({2, 1}), boxes, integers({3, 2}), {.low = 0.3F, .high = 0.7F});
  EXPECT_THAT(integers_of(matches.objects), ElementsAre(0, 1, 0, 0, 0, 0));
  EXPECT_THAT(integers_of(matches.labels), ElementsAre(1, 1, 0, 0, 1, kNoLabel));
}

TEST_P(MatchBoxesTest, LabelsByTheTwoThresholds) {
  const Tensor object = tensor({0, 0, 10, 10}, {1, 1, 4}, device());
  const Tensor boxes =
      tensor({0, 0, 10, 9, 0, 0, 10, 5, 0, 0, 10, 2, 0, 0, 10, 4.999}, {4, 4}, device());
  const auto labels = [&](const MatchParams& params) {
    return integers_of(match_boxes(object, integers({1}), boxes, {}, params).labels);
  };
  EXPECT_THAT(labels({.low = 0.3F, .high = 0.95F, .low_quality = false}),
              ElementsAre(kNoLabel, kNoLabel, 0, kNoLabel));
  EXPECT_THAT(labels({.low = 0.3F, .high = 0.95F}), ElementsAre(1, kNoLabel, 0, kNoLabel));
  EXPECT_THAT(labels(kHead), ElementsAre(1, 1, 0, 0));
}

TEST_P(MatchBoxesTest, HasNothingToMatch) {
  const Matches matches =
      match_boxes(Tensor::zeros({2, 0, 4}, DType::kF32, device()), integers({0, 0}),
                  tensor({0, 0, 1, 1}, {1, 4}, device()), {}, {});
  EXPECT_THAT(integers_of(matches.labels), ElementsAre(0, 0));
  EXPECT_EQ(match_boxes(Tensor::zeros({1, 2, 4}, DType::kF32, device()), integers({2}),
                        Tensor::empty({0, 4}, DType::kF32, device()), {}, {})
                .labels.shape(),
            (Shape{1, 0}));
}

TEST(MatchBoxes, RefuseOtherShapes) {
  const Tensor objects = Tensor::zeros({2, 3, 4});
  const Tensor counts = Tensor::zeros({2}, DType::kI32);
  EXPECT_THAT(error_of([&] { match_boxes(objects, Tensor::zeros({2}), objects, {}, {}); }),
              HasSubstr("counts must be i32 of shape (2)"));
  EXPECT_THAT(error_of([&] {
                match_boxes(objects, counts, Tensor::zeros({3, 1, 4}), {}, {});
              }),
              HasSubstr("objects of 2 pictures, boxes of 3"));
  EXPECT_THAT(error_of([&] { match_boxes(objects, counts, objects, {}, {.low = 0.9F}); }),
              HasSubstr("low must not be above high"));
}

}  // namespace
}  // namespace invp::testing
