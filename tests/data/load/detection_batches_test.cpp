#include "data/load/detection_batches.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/files/file_reader.h"
#include "tests/data/load/boxed_pictures.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::BoxedFolder;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;

DetectionLoaderOptions small_options() {
  DetectionLoaderOptions options;
  options.short_edges = {16, 20, 24};
  options.longest = 40;
  options.seed = 11;
  options.workers = 0;
  options.max_bad_share = 0.5;
  return options;
}

/// All that a batch holds.
struct Copy {
  std::int64_t position;
  std::vector<std::int64_t> indices;
  std::vector<Shape> shapes;
  std::vector<float> numbers;
  bool operator==(const Copy&) const = default;
};

Copy copy_of(const Batch& batch) {
  Copy copy{.position = batch.position, .indices = batch.indices, .shapes = {}, .numbers = {}};
  const auto add = [&](const auto& values) {
    for (const auto value : values) copy.numbers.push_back(static_cast<float>(value));
  };
  for (const BoxedGroup& group : batch.groups) {
    copy.shapes.push_back(group.images.shape());
    add(group.images.span<float>());
    for (const BoxedView& view : group.views) {
      add(std::array{view.picture, view.height, view.width, std::int64_t{view.flipped}});
      add(view.boxes.span<float>());
      add(view.labels.span<std::int32_t>());
    }
  }
  return copy;
}

std::vector<Copy> batches_of(const DetectionSet& set, const DetectionLoaderOptions& options,
                             std::int64_t first, int count) {
  DetectionBatches batches(set, options);
  batches.start(first);
  std::vector<Copy> copies;
  for (int i = 0; i < count; ++i) copies.push_back(copy_of(batches.next()));
  return copies;
}

TEST(DetectionBatches, HoldTheViewsOfTheirPictures) {
  const BoxedFolder folder(9);
  DetectionLoaderOptions options = small_options();
  options.pictures_per_group = 2;
  options.groups = 2;
  DetectionBatches batches(folder.set, options);
  batches.start(0);
  for (std::int64_t t = 0; t < 6; ++t) {
    const Batch batch = batches.next();
    EXPECT_EQ(batch.position, t);
    EXPECT_FALSE(batch.images.defined());
    ASSERT_EQ(batch.groups.size(), 2u);
    std::vector<std::int64_t> rows;
    for (const BoxedGroup& group : batch.groups) {
      ASSERT_EQ(group.views.size(), 2u);
      std::vector<ViewPixels> pixels(2);
      for (std::size_t i = 0; i < 2; ++i) {
        const BoxedView& view = group.views[i];
        rows.push_back(view.picture);
        const BoxedPicture& picture = folder.set.pictures[static_cast<std::size_t>(view.picture)];
        EXPECT_THAT(options.short_edges, Contains(std::min(view.height, view.width)));
        const ViewSize size = view_size(picture.height, picture.width,
                                        static_cast<int>(std::min(view.height, view.width)), 40);
        EXPECT_EQ(size, (ViewSize{static_cast<int>(view.height), static_cast<int>(view.width)}));
        to_planes(
            resize(load_image(folder.set.picture_path(view.picture)), size.width, size.height),
            pixels[i].planes);
        pixels[i].flipped = view.flipped;
        BoxedView expected = view;
        place_truth(folder.set, expected);
        ASSERT_EQ(view.boxes.numel(), 4);
        for (std::size_t k = 0; k < 4; ++k)
          EXPECT_EQ(view.boxes.span<float>()[k], expected.boxes.span<float>()[k]);
        EXPECT_EQ(view.labels.span<std::int32_t>()[0], view.picture % 20);
      }
      const std::array<const ViewPixels*, 2> both = {&pixels[0], &pixels[1]};
      const Tensor images = pad_together(both);
      ASSERT_EQ(images.shape(), group.images.shape());
      EXPECT_EQ(std::memcmp(images.raw(), group.images.raw(), images.nbytes()), 0);
    }
    EXPECT_EQ(batch.indices, rows);
  }
}

TEST(DetectionBatches, AreTheSameForAnyWorkersAndFromAnyIterationOn) {
  const BoxedFolder folder(13);
  folder.spoil(4);
  folder.spoil(6);
  for (const std::int64_t per_group : {1, 2}) {
    DetectionLoaderOptions options = small_options();
    options.pictures_per_group = per_group;
    options.groups = 2;
    const std::vector<Copy> expected = batches_of(folder.set, options, 0, 12);
    for (const int workers : {0, 1, 3}) {
      options.workers = workers;
      EXPECT_EQ(batches_of(folder.set, options, 0, 12), expected) << workers;
      EXPECT_EQ(batches_of(folder.set, options, 7, 5),
                std::vector(expected.begin() + 7, expected.end()))
          << workers;
    }
    options.seed = 12;
    EXPECT_NE(batches_of(folder.set, options, 0, 1)[0], expected[0]);
  }
}

TEST(DetectionBatches, CanGoBackAfterTheyWereMadeAhead) {
  const BoxedFolder folder(7);
  DetectionLoaderOptions options = small_options();
  options.workers = 2;
  options.prefetch = 4;
  DetectionBatches batches(folder.set, options);
  batches.start(0);
  const Copy first = copy_of(batches.next());
  const Copy second = copy_of(batches.next());
  batches.start(1);
  EXPECT_EQ(copy_of(batches.next()), second);
  batches.start(0);
  EXPECT_EQ(copy_of(batches.next()), first);
}

// Chi-square at the 99.9th percentile: 29.6 for 10 degrees of freedom, 10.8 for one.
TEST(DetectionBatches, DrawShortEdgesAndMirroringUniformly) {
  const BoxedFolder folder(5);
  DetectionLoaderOptions options = small_options();
  options.short_edges = {4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14};
  constexpr int kIterations = 250;
  std::array<int, 11> edges{};
  std::array<int, 2> flips{}, both{};
  for (const std::uint64_t seed : {1, 2}) {
    options.seed = seed;
    DetectionBatches batches(folder.set, options);
    batches.start(0);
    for (int t = 0; t < kIterations; ++t) {
      for (const BoxedGroup& group : batches.next().groups) {
        const BoxedView& view = group.views[0];
        const std::int64_t edge = std::min(view.height, view.width) - 4;
        ++edges.at(static_cast<std::size_t>(edge));
        ++flips.at(view.flipped ? 1 : 0);
        ++both.at((edge % 2 == 0) == view.flipped ? 1 : 0);
      }
    }
  }
  const auto chi_square = [](const auto& counts, const std::vector<double>& shares) {
    const double all = std::accumulate(counts.begin(), counts.end(), 0.0);
    double sum = 0;
    for (std::size_t i = 0; i < counts.size(); ++i)
      sum += std::pow(counts.at(i) - all * shares[i], 2) / (all * shares[i]);
    return sum;
  };
  EXPECT_LT(chi_square(edges, std::vector<double>(11, 1.0 / 11)), 29.6);
  EXPECT_LT(chi_square(flips, {0.5, 0.5}), 10.8);
  EXPECT_LT(chi_square(both, {0.5, 0.5}), 10.8);  // independent of each other
}

TEST(DetectionBatches, NeverMirrorOrAlwaysIfAskedTo) {
  const BoxedFolder folder(3);
  for (const double probability : {0.0, 1.0}) {
    DetectionLoaderOptions options = small_options();
    options.flip_probability = probability;
    DetectionBatches batches(folder.set, options);
    batches.start(0);
    for (int t = 0; t < 10; ++t) {
      for (const BoxedGroup& group : batches.next().groups)
        EXPECT_EQ(group.views[0].flipped, probability == 1.0);
    }
  }
}

TEST(DetectionBatches, AnotherPictureOfTheOrientationTakesABadOnesPlace) {
  BoxedFolder folder(12);
  folder.spoil(5);
  std::filesystem::remove(folder.set.picture_path(7));
  folder.set.pictures[3].width = 31;  // its annotations are of another picture
  DetectionLoaderOptions options = small_options();
  options.groups = 1;
  options.pictures_per_group = 2;
  DetectionBatches batches(folder.set, options);
  batches.remember_bad({{.index = 7}});
  batches.start(0);
  for (int t = 0; t < 40; ++t) {
    const Batch batch = batches.next();
    ASSERT_EQ(batch.indices.size(), 2u);
    EXPECT_EQ(batch.indices[0] % 3 == 0, batch.indices[1] % 3 == 0);
    for (const std::int64_t bad : {3, 5, 7}) EXPECT_THAT(batch.indices, Not(Contains(bad)));
  }
  const std::vector<BadPlace> places = batches.bad_places();
  std::vector<std::int64_t> bad;
  for (const BadPlace& place : places) bad.push_back(place.index);
  std::ranges::sort(bad);
  EXPECT_THAT(bad, ElementsAre(3, 5, 7));
  for (std::size_t i = 0; i < 3; ++i) {
    const BadImage& image = batches.bad_images()[i];
    EXPECT_EQ(image.file, folder.set.picture_path(places[i].index).string());
    EXPECT_THAT(image.reason, HasSubstr(image.file));
    if (places[i].index == 3) {
      EXPECT_THAT(image.reason, AllOf(HasSubstr("30 x 40"), HasSubstr("31 x 40")));
    }
  }
}

TEST(DetectionBatches, StopWhenTooManyAreBad) {
  const BoxedFolder folder(10);
  for (const std::int64_t row : {1, 2, 3}) folder.spoil(row);
  DetectionLoaderOptions options = small_options();
  for (const int workers : {0, 2}) {
    options.workers = workers;
    options.max_bad_share = 0.2;
    DetectionBatches batches(folder.set, options);
    batches.start(0);
    EXPECT_THAT(error_of([&] {
                  for (int t = 0; t < 10; ++t) batches.next();
                }),
                AllOf(HasSubstr("3 of 10"), HasSubstr("--max-bad-share")));
  }
  for (std::int64_t row = 0; row < 10; ++row) folder.spoil(row);
  options.max_bad_share = 1;
  DetectionBatches batches(folder.set, options);
  batches.start(0);
  EXPECT_THAT(error_of([&] { batches.next(); }),
              AllOf(HasSubstr("none of 10 pictures can be read"), HasSubstr(".jpg")));
}

// That no more files can be opened says nothing about the pictures.
TEST(DetectionBatches, WhatTheMachineCannotReadIsNotBad) {
  const BoxedFolder folder(4);
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (const int workers : {0, 2}) {
    DetectionLoaderOptions options = small_options();
    options.workers = workers;
    DetectionBatches batches(folder.set, options);
    const int next = dup(0);
    close(next);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    batches.start(0);
    EXPECT_THROW(batches.next(), SystemError);
    EXPECT_TRUE(batches.bad_images().empty());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    EXPECT_THAT(error_of([&] { batches.next(); }), HasSubstr("start()"));
    batches.start(0);
    EXPECT_EQ(batches.next().indices.size(), 4u);
  }
}

TEST(DetectionBatches, ReadPicturesUpright) {
  BoxedFolder folder(1);
  // A JPEG of 40 x 30 whose EXIF block (little-endian, one entry) says: turn by 90 degrees.
  const auto plain = encode_jpeg(test::photo_like(40, 30, 3));
  const std::string exif(
      "\xFF\xE1\x00\x22"
      "Exif\0\0II\x2A\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0",
      36);
  std::string file(plain.begin(), plain.end());
  file.insert(2, exif);
  folder.write_to(0, file);
  const Image image = read_picture(folder.set, 0, {});
  EXPECT_EQ(image.width, 30);
  EXPECT_EQ(image.height, 40);
  EXPECT_EQ(image, load_image(folder.set.picture_path(0), {.apply_orientation = true}));
}

TEST(TrainingPictures, LeaveOutThoseWithoutTruthAndCountWhy) {
  BoxedFolder folder(2, BoxFormat::kCoco);
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  folder.add(40, 30);  // 2: nothing
  folder.add(40, 30);  // 3: crowds
  folder.add_object({1, 1, 5, 5}, true);
  folder.add_object({1, 1, 5, 5}, true);
  folder.add(40, 30);  // 4: bad boxes
  folder.add_object({1, 1, 0, 5});
  folder.add_object({50, 1, 5, 5});
  folder.add_object({kNan, 1, 5, 5});
  folder.add(40, 30);  // 5: a crowd and an object that reaches out
  folder.add_object({1, 1, 5, 5}, true);
  folder.add_object({-1, 1, 5, 5});
  const TrainingPictures coco = training_pictures(folder.set, false);
  EXPECT_THAT(coco.rows, ElementsAre(0, 1, 5));
  EXPECT_EQ(coco.without_objects, 1);
  EXPECT_EQ(coco.only_crowds, 1);
  EXPECT_EQ(coco.only_bad_boxes, 1);
  EXPECT_EQ(coco.crowds, 3);
  EXPECT_EQ(coco.bad_boxes, 3);
  EXPECT_THAT(left_out_lines(folder.set, coco),
              ElementsAre("3 of 6 pictures left out: 1 without objects, 1 with crowds only, 1 with "
                          "unusable boxes only",
                          "3 crowds left out", HasSubstr("3 objects left out")));
  const TrainingPictures all = training_pictures(folder.set, true);
  EXPECT_EQ(all.rows.size(), 6u);
  EXPECT_THAT(left_out_lines(folder.set, all)[0], HasSubstr("3 of 6 pictures kept without"));
  folder.set.format = BoxFormat::kVoc;  // whose difficult objects are trained on
  EXPECT_THAT(training_pictures(folder.set, false).rows, ElementsAre(0, 1, 3, 5));
  EXPECT_TRUE(
      left_out_lines(BoxedFolder(2).set, training_pictures(BoxedFolder(2).set, false)).empty());
}

TEST(DetectionBatches, KeepPicturesWithoutTruthIfAskedTo) {
  BoxedFolder folder(1);
  folder.add(40, 30);
  write_file(folder.set.picture_path(1), encode_png(test::photo_like(40, 30, 1)));
  DetectionLoaderOptions options = small_options();
  options.groups = 2;
  options.keep_empty = true;
  DetectionBatches batches(folder.set, options);
  batches.start(0);
  const Batch batch = batches.next();
  for (const BoxedGroup& group : batch.groups) {
    const BoxedView& view = group.views[0];
    EXPECT_EQ(view.boxes.shape(), (Shape{view.picture == 0 ? 1 : 0, 4}));
    EXPECT_EQ(view.labels.shape(), (Shape{view.picture == 0 ? 1 : 0}));
  }
  EXPECT_THAT(batch.indices, ::testing::UnorderedElementsAre(0, 1));
}

TEST(DetectionBatches, NothingToTrainOnIsAnErrorWithItsReason) {
  BoxedFolder folder(0, BoxFormat::kCoco);
  const auto says = [&](bool keep_empty) {
    DetectionLoaderOptions options = small_options();
    options.keep_empty = keep_empty;
    return error_of([&] { DetectionBatches(folder.set, options); });
  };
  EXPECT_THAT(says(false), HasSubstr("has no pictures"));
  folder.add(40, 30);
  folder.add(40, 30);
  folder.add_object({1, 1, 5, 5}, true);
  for (const bool keep_empty : {false, true}) {
    EXPECT_THAT(says(keep_empty),
                AllOf(HasSubstr(folder.path().string()), HasSubstr("1 without objects"),
                      HasSubstr("1 with crowds only")));
  }
}

TEST(DetectionBatches, RefuseSettingsOutOfRange) {
  const BoxedFolder folder(1);
  const auto says = [&](const auto& change) {
    DetectionLoaderOptions options = small_options();
    change(options);
    return error_of([&] { DetectionBatches(folder.set, options); });
  };
  EXPECT_THAT(says([](auto& o) { o.short_edges = {}; }), HasSubstr("short edge"));
  EXPECT_THAT(says([](auto& o) { o.short_edges = {20, 0}; }), HasSubstr("got 0"));
  EXPECT_THAT(says([](auto& o) { o.longest = 1 << 20; }), HasSubstr("longest"));
  EXPECT_THAT(says([](auto& o) { o.groups = 0; }), HasSubstr("group"));
  EXPECT_THAT(says([](auto& o) { o.flip_probability = std::nan(""); }), HasSubstr("mirroring"));
  EXPECT_THAT(says([](auto& o) { o.workers = -1; }), HasSubstr("workers"));
  EXPECT_THAT(says([](auto& o) { o.prefetch = 0; }), HasSubstr("ahead"));
  EXPECT_THAT(says([](auto& o) { o.max_bad_share = 2; }), HasSubstr("share"));
}

}  // namespace
}  // namespace invp
