#include "data/synthetic/boxed_scenes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <tuple>
#include <vector>

#include "data/detection/detection_set.h"
#include "data/images/decode.h"
#include "data/synthetic/scene.h"
#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

constexpr SyntheticOptions kSet{.classes = 10, .size = 48, .seed = 5};

TEST(BoxedScenes, AreAFunctionOfSeedSplitAndIndexAlone) {
  const BoxedScene one = draw_boxed_scene(kSet, SyntheticSplit::kTrain, 3);
  EXPECT_EQ(one.picture, draw_boxed_scene(kSet, SyntheticSplit::kTrain, 3).picture);
  EXPECT_NE(one.picture, draw_boxed_scene(kSet, SyntheticSplit::kTrain, 4).picture);
  EXPECT_NE(one.picture, draw_boxed_scene(kSet, SyntheticSplit::kVal, 3).picture);
  EXPECT_NE(one.picture, draw_synthetic(kSet, SyntheticSplit::kTrain, 3));
  SyntheticOptions other = kSet;
  other.seed = 6;
  EXPECT_NE(one.picture, draw_boxed_scene(other, SyntheticSplit::kTrain, 3).picture);
}

TEST(BoxedScenes, HaveOneToSixObjectsOfEveryClassWithinThePicture) {
  std::set<int> labels;
  for (int i = 0; i < 100; ++i) {
    const BoxedScene scene = draw_boxed_scene(kSet, SyntheticSplit::kTrain, i);
    EXPECT_GE(scene.objects.size(), 1U) << i;
    EXPECT_LE(scene.objects.size(), 6U) << i;
    for (const DrawnObject& object : scene.objects) {
      labels.insert(object.label);
      EXPECT_TRUE(0 <= object.left && object.left + 2 <= object.right && object.right <= 48) << i;
      EXPECT_TRUE(0 <= object.top && object.top + 2 <= object.bottom && object.bottom <= 48) << i;
    }
  }
  EXPECT_EQ(labels.size(), 10U);
  EXPECT_EQ(*labels.rbegin(), 9);
}

/// The box of the pixels that differ from black by half of white or more.
std::tuple<int, int, int, int> painted(const Image& image) {
  int left = image.width, top = image.height, right = 0, bottom = 0;
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      if (image.pixels[static_cast<std::size_t>(y * image.width + x) * 3] < 128) continue;
      left = std::min(left, x), right = std::max(right, x + 1);
      top = std::min(top, y), bottom = std::max(bottom, y + 1);
    }
  }
  return {left, top, right, bottom};
}

TEST(BoxedScenes, ABoxHoldsWhatIsPainted) {
  Random random(1, Purpose::kSynthetic);
  for (int i = 0; i < 60; ++i) {
    synthetic::Figure figure;
    figure.shape = static_cast<synthetic::Shape>(i % synthetic::kShapes);
    figure.centre = {static_cast<float>(random.uniform(-1, 1)),
                     static_cast<float>(random.uniform(-1, 1))};
    figure.radius = static_cast<float>(random.uniform(0.2, 0.6));
    figure.angle = static_cast<float>(random.uniform(-3, 3));
    figure.aspect = static_cast<float>(random.uniform(0.8, 1.25));
    figure.style.duty = 1;
    figure.paint = {synthetic::Color{1, 1, 1}, synthetic::Color{1, 1, 1}};
    const synthetic::Scene scene{.figures = {figure}};
    const auto [left, top, right, bottom] = synthetic::extent_of(figure, 64);
    EXPECT_EQ(std::tuple(left, top, right, bottom), painted(synthetic::draw(scene, 64, random)))
        << name_of(figure.shape) << ' ' << i;
  }
}

TEST(BoxedScenes, AFigureOutsideHasNoBox) {
  synthetic::Figure figure;
  figure.centre = {3, 0};
  const auto [left, top, right, bottom] = synthetic::extent_of(figure, 32);
  EXPECT_EQ(std::tuple(left, top, right, bottom), std::tuple(0, 0, 0, 0));
}

TEST(BoxedScenes, TheSetOpensAsCocoWithTheBoxesThatWereDrawn) {
  const testing::TempFolder scratch;
  std::vector<std::int64_t> told;
  synthesize_boxes(scratch / "set", {.set = kSet, .train = 70, .val = 3},
                   [&](std::int64_t done, std::int64_t) { told.push_back(done); });
  EXPECT_EQ(told, (std::vector<std::int64_t>{64, 70, 73}));
  const DetectionSet set = open_boxes(scratch / "set", {.format = "coco", .split = "train"});
  ASSERT_EQ(set.pictures.size(), 70U);
  EXPECT_EQ(set.classes.size(), 10U);
  EXPECT_EQ(set.classes.front(), "striped-disc");
  EXPECT_TRUE(set.faults.empty());
  for (const std::int64_t i : {0, 69}) {
    const BoxedScene drawn = draw_boxed_scene(kSet, SyntheticSplit::kTrain, i);
    const auto read = set.objects_of(i);
    ASSERT_EQ(read.size(), drawn.objects.size());
    for (std::size_t j = 0; j < read.size(); ++j) {
      EXPECT_EQ(read[j].label, drawn.objects[j].label);
      EXPECT_EQ(read[j].box.x, drawn.objects[j].left);
      EXPECT_EQ(read[j].box.bottom(), drawn.objects[j].bottom);
    }
    EXPECT_EQ(load_image(set.picture_path(i)).width, 48);
  }
  EXPECT_THROW(synthesize_boxes(scratch / "set", {.set = kSet}), Error);
}

}  // namespace
}  // namespace invp
