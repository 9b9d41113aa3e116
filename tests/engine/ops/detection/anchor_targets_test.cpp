#include "engine/ops/detection/anchor_targets.h"

#include <gmock/gmock.h>

#include "engine/ops/detection/match_boxes.h"
#include "engine/ops/loss/bce_with_logits.h"
#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::ThrowsMessage;

class AnchorTargetsTest : public DeviceTest {};
RUN_ON_EACH_DEVICE(AnchorTargetsTest);

TEST_P(AnchorTargetsTest, PositivesNegativesAndOthers) {
  const std::vector<std::int32_t> labels = {1, 0, kNoLabel, 7, 0};
  const AnchorTargets targets = anchor_targets(Tensor::from(labels, {5}, device()));
  EXPECT_THAT(values_of(targets.objectness), ElementsAre(1, 0, kIgnoredTarget, 1, 0));
  EXPECT_THAT(integers_of(targets.columns), ElementsAre(0, -1, -1, 0, -1));
}

TEST_P(AnchorTargetsTest, NoAnchors) {
  const Tensor none = Tensor::empty({0}, DType::kI32, device());
  EXPECT_EQ(anchor_targets(none).columns.numel(), 0);
}

TEST(AnchorTargets, OtherShapes) {
  EXPECT_THAT(
      [] {
        anchor_targets(Tensor::zeros({2, 3}, DType::kI32));
      },
      ThrowsMessage<Error>("[anchor_targets] labels must be i32 of shape (n), got i32 (2, 3)"));
}

}  // namespace
}  // namespace invp::testing
