// The sizes of views, their pixels, and where boxes come to lie: detectron2's and Pillow's numbers.
#include "data/load/short_edge.h"

#include <gmock/gmock.h>

#include "data/images/transform.h"
#include "data/load/view_maker.h"
#include "engine/files/safetensors.h"
#include "tests/invp/protocols/detection/golden_set.h"

namespace invp {
namespace {

using testing::golden_json;
using testing::json;

TEST(ViewSize, IsThatOfDetectron2) {
  const json rows = golden_json("loading.json")["sizes"];
  ASSERT_EQ(rows.size(), 147u);
  for (const json& row : rows) {
    const ViewSize size =
        view_size(row[0].get<int>(), row[1].get<int>(), row[2].get<int>(), row[3].get<int>());
    EXPECT_EQ(size, (ViewSize{row[4].get<int>(), row[5].get<int>()})) << row;
  }
}

TEST(ViewSize, KeepsAPixelOfThreads) {
  EXPECT_EQ(view_size(1, 5000, 800, 1333), (ViewSize{1, 1333}));
  EXPECT_EQ(view_size(5000, 1, 800, 1333), (ViewSize{1333, 1}));
}

/// A set of one picture with these boxes x0 y0 x1 y1, their labels 0, 1, 2, ...
DetectionSet set_of(int height, int width, const std::vector<std::array<double, 4>>& boxes) {
  DetectionSet set;
  set.pictures.push_back(
      {.name = "a", .folder = "", .width = width, .height = height, .objects = std::ssize(boxes)});
  for (const auto& [x0, y0, x1, y1] : boxes) {
    BoxedObject object;
    object.label = static_cast<std::int32_t>(set.objects.size());
    object.box = {x0, y0, x1 - x0, y1 - y0};
    object.fault = fault_of(object.box, width, height);
    set.objects.push_back(object);
    set.classes.emplace_back("class");
  }
  return set;
}

TEST(PlaceTruth, ScalesMirrorsClipsAndDropsAsDetectron2) {
  const json cases = golden_json("loading.json")["boxes"];
  ASSERT_EQ(cases.size(), 5u);
  for (const json& of : cases) {
    const DetectionSet set = set_of(of["h"].get<int>(), of["w"].get<int>(),
                                    of["boxes"].get<std::vector<std::array<double, 4>>>());
    BoxedView view{.height = of["new_h"].get<std::int64_t>(),
                   .width = of["new_w"].get<std::int64_t>(),
                   .flipped = of["flip"] == 1};
    place_truth(set, view);
    const auto labels = view.labels.span<std::int32_t>();
    EXPECT_EQ(std::vector(labels.begin(), labels.end()),
              of["kept"].get<std::vector<std::int32_t>>());
    ASSERT_EQ(view.boxes.shape(), (Shape{std::ssize(of["out"]), 4}));
    for (std::size_t i = 0; i < of["out"].size(); ++i) {
      for (std::size_t k = 0; k < 4; ++k)
        EXPECT_EQ(view.boxes.span<float>()[4 * i + k], of["out"][i][k].get<float>());
    }
  }
}

TEST(PlaceTruth, LeavesOutWhatRoundingToF32Closes) {
  const DetectionSet set = set_of(1000, 1000, {{600, 0, 600 + 2e-5, 9}, {0, 0, 1e-4, 9}});
  BoxedView view{.height = 1000, .width = 1000};
  place_truth(set, view);
  ASSERT_EQ(view.labels.numel(), 1);
  EXPECT_EQ(view.labels.span<std::int32_t>()[0], 1);
}

TEST(PlaceTruth, KeepsDifficultObjectsOfVocButNotCrowdsOfCoco) {
  DetectionSet set = set_of(10, 10, {{0, 0, 5, 5}, {2, 2, 9, 9}});
  set.objects[0].difficult = true;
  BoxedView view{.height = 10, .width = 10};
  place_truth(set, view);
  EXPECT_EQ(view.labels.numel(), 2);
  set.format = BoxFormat::kCoco;
  place_truth(set, view);
  ASSERT_EQ(view.labels.numel(), 1);
  EXPECT_EQ(view.labels.span<std::int32_t>()[0], 1);
  set.objects[1].difficult = true;
  place_truth(set, view);
  EXPECT_EQ(view.boxes.shape(), (Shape{0, 4}));
}

Image image_of(const Tensor& pixels) {
  Image image(static_cast<int>(pixels.dim(1)), static_cast<int>(pixels.dim(0)));
  std::ranges::copy(pixels.span<std::uint8_t>(), image.pixels.begin());
  return image;
}

TEST(TestPicture, HoldsPillowsPixelsNormalized) {
  const TensorFile file = read_safetensors(testing::golden("detection/loading.safetensors"));
  const Image picture = image_of(*file.find("picture"));
  for (const int edge : {24, 67}) {
    const Tensor& expected = *file.find(message("short_", edge));
    const TestPicture test = test_picture(picture, kCpu, 5, edge, 1333);
    EXPECT_EQ(test.height, 45);
    EXPECT_EQ(test.width, 60);
    ASSERT_EQ(test.group.views.size(), 1u);
    const BoxedView& view = test.group.views[0];
    EXPECT_EQ(view.picture, 5);
    EXPECT_EQ(view.boxes.shape(), (Shape{0, 4}));
    ASSERT_EQ(test.group.images.shape(), (Shape{1, view.height, view.width, 3}));
    ASSERT_EQ(expected.shape(), (Shape{view.height, view.width, 3}));
    const auto got = test.group.images.span<float>();
    const auto bytes = expected.span<std::uint8_t>();
    constexpr std::array<float, 3> kMean = {123.675f, 116.280f, 103.530f},
                                   kStd = {58.395f, 57.120f, 57.375f};
    for (std::size_t i = 0; i < bytes.size(); ++i)
      ASSERT_EQ(got[i], (static_cast<float>(bytes[i]) - kMean[i % 3]) / kStd[i % 3]) << i;
  }
}

TEST(PadTogether, PadsWithZerosAtTheRightAndTheBottom) {
  const std::vector<std::pair<int, int>> sizes = {{3, 5}, {4, 2}};  // height, width
  std::vector<ViewPixels> views(2);
  std::vector<Image> images;
  for (std::size_t i = 0; i < 2; ++i) {
    Image& image = images.emplace_back(sizes[i].second, sizes[i].first);
    for (std::size_t k = 0; k < image.pixels.size(); ++k)
      image.pixels[k] = static_cast<std::uint8_t>(17 * k + 90 * i);
    to_planes(image, views[i].planes);
  }
  views[1].flipped = true;
  const std::vector<const ViewPixels*> both = {&views[0], &views[1]};
  const Tensor padded = pad_together(both);
  ASSERT_EQ(padded.shape(), (Shape{2, 4, 5, 3}));
  const NormalizationTable table(kDetectionNormalization);
  const auto values = padded.span<float>();
  for (std::size_t i = 0, at = 0; i < 2; ++i) {
    for (int y = 0; y < 4; ++y) {
      for (int x = 0; x < 5; ++x) {
        for (int c = 0; c < 3; ++c, ++at) {
          const auto [height, width] = sizes[i];
          const int from = i == 1 ? width - 1 - x : x;
          const float expected =
              y < height && x < width ? table.channel(c)[images[i].at(from, y)[c]] : 0.0f;
          EXPECT_EQ(values[at], expected) << i << ' ' << y << ' ' << x << ' ' << c;
        }
      }
    }
  }
}

}  // namespace
}  // namespace invp
