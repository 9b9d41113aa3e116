#include "invp/protocols/detection/detection_source.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/data/load/boxed_pictures.h"

namespace invp {
namespace {

using testing::BoxedFolder;
using testing::error_of;
using ::testing::HasSubstr;

DetectionLoaderOptions small_options(int workers) {
  DetectionLoaderOptions options;
  options.groups = 2;
  options.short_edges = {16, 20};
  options.workers = workers;
  return options;
}

TEST(DetectionSource, EpochsAreBlocksOfTheEndlessStream) {
  const BoxedFolder folder(7);
  DetectionBatches stream(folder.set, small_options(0));
  stream.start(0);
  DetectionSource source(folder.set, small_options(2), 3, kCpu);
  EXPECT_EQ(source.batches_per_epoch(), 3);
  EXPECT_EQ(source.images_per_epoch(), 6);
  for (std::int64_t epoch = 1; epoch <= 3; ++epoch) {
    source.start_epoch(epoch, 0);
    for (std::int64_t b = 0; b < 3; ++b) {
      const std::optional<Batch> batch = source.next();
      ASSERT_TRUE(batch.has_value());
      EXPECT_EQ(batch->position, b);
      const Batch expected = stream.next();
      EXPECT_EQ(batch->indices, expected.indices);
      EXPECT_EQ(batch->groups[1].images.shape(), expected.groups[1].images.shape());
    }
    EXPECT_FALSE(source.next().has_value());
  }
  EXPECT_GE(source.wait_seconds(), 0);
  EXPECT_EQ(source.reading().workers, 2);
}

TEST(DetectionSource, BeginsWhereARunStopped) {
  const BoxedFolder folder(7);
  DetectionBatches stream(folder.set, small_options(0));
  stream.start(5);
  DetectionSource source(folder.set, small_options(1), 3, kCpu);
  source.start_epoch(2, 2);
  EXPECT_EQ(source.next()->indices, stream.next().indices);
  EXPECT_FALSE(source.next().has_value());
  source.start_epoch(2, 3);
  EXPECT_FALSE(source.next().has_value());
}

TEST(DetectionSource, GoesOnAfterAnErrorOnceItIsStartedAgain) {
  const BoxedFolder folder(4);
  DetectionLoaderOptions options = small_options(0);
  options.max_bad_share = 1;
  DetectionSource source(folder.set, options, 3, kCpu);
  EXPECT_THAT(error_of([&] { source.next(); }), HasSubstr("start_epoch"));
  const auto hide = [&](std::int64_t i) { return folder / std::to_string(i); };
  for (std::int64_t i = 0; i < 4; ++i) std::filesystem::rename(folder.set.picture_path(i), hide(i));
  source.start_epoch(1, 0);
  EXPECT_THAT(error_of([&] { source.next(); }), HasSubstr("none of 4 pictures"));
  EXPECT_THAT(error_of([&] { source.next(); }), HasSubstr("start_epoch"));
  for (std::int64_t i = 0; i < 4; ++i) std::filesystem::rename(hide(i), folder.set.picture_path(i));
  source.start_epoch(1, 0);
  EXPECT_EQ(source.next()->position, 0);
}

TEST(DetectionSource, RefusesEpochsWithoutIterations) {
  const BoxedFolder folder(4);
  EXPECT_THAT(error_of([&] { DetectionSource(folder.set, small_options(0), 0, kCpu); }),
              HasSubstr("at least 1 iteration"));
}

}  // namespace
}  // namespace invp
