#include "engine/ops/detection/nms.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "engine/ops/detection/boxes.h"
#include "engine/ops/detection/top_scores.h"
#include "tests/engine/ops/detection/golden_ops.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

class NmsTest : public DeviceTest {
 protected:
  /// The kept boxes of one picture.
  static std::vector<std::int64_t> kept(const Tensor& boxes, const Tensor& scores,
                                        const std::vector<std::int32_t>& groups, double threshold) {
    const std::int64_t n = boxes.dim(0);
    const Tensor grouped = groups.empty() ? Tensor() : Tensor::from(groups, {1, n}, device());
    return kept(nms(boxes.view({1, n, 4}), scores.view({1, n}), grouped, threshold, n), 0);
  }
  static std::vector<std::int64_t> kept(const Kept& all, std::int64_t picture) {
    const std::vector<std::int64_t> rows = integers_of(all.rows.slice(picture, picture + 1));
    const std::int64_t count = integers_of(all.counts)[static_cast<std::size_t>(picture)];
    EXPECT_TRUE(std::all_of(rows.begin() + count, rows.end(), [](auto row) { return row == -1; }));
    return {rows.begin(), rows.begin() + count};
  }
};
RUN_ON_EACH_DEVICE(NmsTest);

/// Box by box, in double.
std::vector<std::int64_t> reference(const Values& boxes, const Values& scores,
                                    const std::vector<std::int32_t>& groups, double threshold) {
  std::vector<std::int64_t> order(scores.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](std::int64_t a, std::int64_t b) {
    return scores[static_cast<std::size_t>(a)] > scores[static_cast<std::size_t>(b)];
  });
  const auto overlap = [&](std::int64_t i, std::int64_t j) {
    const double* const a = boxes.data() + 4 * i;
    const double* const b = boxes.data() + 4 * j;
    const double w = std::min(a[2], b[2]) - std::max(a[0], b[0]);
    const double h = std::min(a[3], b[3]) - std::max(a[1], b[1]);
    if (w <= 0 || h <= 0) return 0.0;
    const auto area = [](const double* c) { return (c[2] - c[0]) * (c[3] - c[1]); };
    return w * h / (area(a) + area(b) - w * h);
  };
  std::vector<std::int64_t> kept;
  for (const std::int64_t i : order) {
    const bool free = std::ranges::none_of(kept, [&](std::int64_t other) {
      const bool same = groups.empty() || groups[static_cast<std::size_t>(i)] ==
                                              groups[static_cast<std::size_t>(other)];
      return same && overlap(i, other) > threshold;
    });
    if (free) kept.push_back(i);
  }
  return kept;
}

Values random_boxes(std::uint64_t seed, std::int64_t n) {
  const Values corner = random_values(seed, 2 * n, 0.1, 90);
  const Values size = random_values(seed + 1, 2 * n, 1, 40);
  Values boxes;
  for (std::size_t i = 0; i < static_cast<std::size_t>(2 * n); i += 2) {
    boxes.insert(boxes.end(),
                 {corner[i], corner[i + 1], corner[i] + size[i], corner[i + 1] + size[i + 1]});
  }
  return boxes;
}

TEST_P(NmsTest, KeepsWhatTorchvisionKeeps) {
  for (const char* name : {"a", "b", "c"}) {
    const std::string boxes = name == std::string("c") ? "c" : "a";
    for (const double threshold : {0.5, 0.7}) {
      EXPECT_EQ(kept(golden_op("nms." + boxes + ".boxes", device()),
                     golden_op(std::string("nms.") + name + ".scores", device()), {}, threshold),
                golden_integers(message("nms.", name, ".keep_", threshold)))
          << name << ' ' << threshold;
    }
  }
}

TEST_P(NmsTest, KeepsByClassWhatTorchvisionKeeps) {
  const std::vector<std::int64_t> classes = golden_integers("nms.d.classes");
  for (const std::string name : {"d", "f"}) {
    EXPECT_EQ(
        kept(golden_op("nms.d.boxes", device()), golden_op("nms." + name + ".scores", device()),
             {classes.begin(), classes.end()}, 0.5),
        golden_integers("nms." + name + ".keep_0.5"));
  }
}

// The best 900 anchors of each picture, decoded and clipped, and the best 100 that remain of them.
TEST_P(NmsTest, SelectsTheProposalsOfDetectron2) {
  const Tensor logits = golden_op("select.logits", device());
  const Candidates found =
      candidate_boxes(logits, golden_op("select.deltas", device()),
                      tensor(grid_anchors(10, 13), {1950, 4}, device()), top_scores(logits, 900),
                      tensor({150, 208, 160, 171}, {2, 2}, device()), {});
  const Kept all = nms(found.boxes, found.scores, {}, 0.7, 100);
  EXPECT_THAT(integers_of(all.counts), ElementsAre(100, 100));
  const Tensor boxes = take_boxes(found.boxes, all.rows);
  for (const int picture : {0, 1}) {
    const std::string name = message("select.small.", picture, ".");
    EXPECT_LT(golden_distance(boxes.slice(picture, picture + 1), golden_op(name + "boxes")), 1e-5);
    const Values scores = values_of(found.scores);
    Values chosen;
    for (const std::int64_t row : kept(all, picture)) {
      chosen.push_back(scores[static_cast<std::size_t>(picture * 900 + row)]);
    }
    EXPECT_EQ(chosen, values_of(golden_op(name + "logits")));
  }
}

TEST_P(NmsTest, MatchesReference) {
  for (const std::int64_t n : {1, 64, 65, 400}) {
    const Values boxes = random_boxes(static_cast<std::uint64_t>(n), n);
    Values scores = random_values(9, n);
    std::vector<std::int32_t> groups;
    for (std::int64_t i = 0; i < n; ++i) {
      groups.push_back(static_cast<std::int32_t>(i * i % 5));
      if (n == 65) scores[static_cast<std::size_t>(i)] = 0.5;  // all equal: by index
    }
    const Tensor box_tensor = tensor(boxes, {n, 4}, device());
    const Tensor score_tensor = tensor(scores, {n}, device());
    EXPECT_EQ(kept(box_tensor, score_tensor, {}, 0.4), reference(boxes, scores, {}, 0.4));
    EXPECT_EQ(kept(box_tensor, score_tensor, groups, 0.3), reference(boxes, scores, groups, 0.3));
  }
}

TEST_P(NmsTest, KeepsUpToAsManyAsAskedOfEachPicture) {
  Values boxes = random_boxes(11, 200);
  const Values others = random_boxes(13, 200);
  boxes.insert(boxes.end(), others.begin(), others.end());
  Values scores = random_values(12, 400);
  scores[3] = std::numeric_limits<double>::quiet_NaN();
  scores[200] = 9;
  const Kept all =
      nms(tensor(boxes, {2, 200, 4}, device()), tensor(scores, {2, 200}, device()), {}, 0.5, 20);
  scores[3] = -9;
  for (const int picture : {0, 1}) {
    const auto part = [&](const Values& values, std::ptrdiff_t size) {
      return Values(values.begin() + picture * size, values.begin() + (picture + 1) * size);
    };
    std::vector<std::int64_t> want = reference(part(boxes, 800), part(scores, 200), {}, 0.5);
    want.resize(20);
    EXPECT_EQ(kept(all, picture), want);
  }
}

// An IoU of exactly the threshold stays; 0.7 lies between two floats.
TEST_P(NmsTest, ComparesStrictly) {
  const Tensor boxes = tensor({0, 0, 10, 1, 0, 0, 5, 1, 0, 0, 7, 1}, {3, 4}, device());
  const Tensor scores = tensor({3, 2, 1}, {3}, device());
  EXPECT_THAT(kept(boxes, scores, {}, 0.5), ElementsAre(0, 1));
  EXPECT_THAT(kept(boxes, scores, {}, 0.75), ElementsAre(0, 1, 2));
  const double just_below = std::nextafter(0.5, 0.0);
  EXPECT_THAT(kept(boxes, scores, {}, just_below), ElementsAre(0));
}

TEST_P(NmsTest, BearsNoBoxesEmptyBoxesAndDuplicates) {
  EXPECT_THAT(kept(Tensor::empty({0, 4}, DType::kF32, device()),
                   Tensor::empty({0}, DType::kF32, device()), {}, 0.5),
              ElementsAre());
  const Tensor boxes = tensor({1, 1, 1, 1, 1, 1, 1, 1, 0, 0, 4, 4, 0, 0, 4, 4}, {4, 4}, device());
  EXPECT_THAT(kept(boxes, tensor({1, 1, 1, 2}, {4}, device()), {}, 0.5), ElementsAre(3, 0, 1));
  EXPECT_THAT(kept(boxes, tensor({1, 1, 1, 2}, {4}, device()), {0, 0, 1, 0}, 0.5),
              ElementsAre(3, 0, 1, 2));
}

TEST(Nms, RefusesWhatMakesNoSense) {
  const Tensor boxes = Tensor::zeros({1, 3, 4});
  const Tensor scores = Tensor::zeros({1, 3});
  EXPECT_THAT(error_of([&] { nms(boxes, scores, {}, 1.5, 3); }), HasSubstr("in [0, 1], got 1.5"));
  EXPECT_THAT(error_of([&] { nms(boxes, Tensor::zeros({3}), {}, 0.5, 3); }),
              HasSubstr("scores must be f32 of shape (1, 3)"));
  EXPECT_THAT(error_of([&] { nms(boxes, scores, scores, 0.5, 3); }),
              HasSubstr("groups must be i32"));
}

}  // namespace
}  // namespace invp::testing
