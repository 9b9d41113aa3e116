// A feed hands out what its loader would, on each device, whatever is done to it.
#include "data/load/batch_feed.h"

#include <gmock/gmock.h>

#include <set>

#include "tests/support/devices.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

/// Picture i is of one color; some are broken.
class ColorSet final : public Dataset {
 public:
  explicit ColorSet(std::int64_t n, std::set<std::int64_t> broken = {})
      : Dataset("colors", std::vector<std::int32_t>(static_cast<std::size_t>(n), 0), {"x"}),
        broken_(std::move(broken)) {}
  std::string name(std::int64_t index) const override { return std::to_string(index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    CHECK(!broken_.contains(index), "picture ", index, " is broken");
    sample.encoded = {};
    sample.drawn.reshape(9 + static_cast<int>(index) % 5, 11);
    std::ranges::fill(sample.drawn.pixels, static_cast<std::uint8_t>(3 * index));
    sample.pixels = sample.drawn;
  }

 private:
  std::set<std::int64_t> broken_;
};

struct Copy {
  std::int64_t position;
  std::vector<std::int64_t> indices;
  std::vector<float> pixels;
  bool operator==(const Copy&) const = default;
};

class BatchFeedTest : public DeviceTest {
 protected:
  static LoaderOptions options(int workers, AugmentOn augment_on = AugmentOn::kWorkers) {
    return {.batch_size = 5,
            .workers = workers,
            .seed = 3,
            .max_bad_share = 0.2,
            .augment_on = augment_on};
  }
  static AugmentConfig augmentation() {
    AugmentConfig config = augment_preset("imagenet");
    config.image_size = 6;
    return config;
  }
  static Copy copy(const Batch& batch) {
    EXPECT_EQ(batch.images.device(), device());
    EXPECT_EQ(batch.images.shape(), (Shape{std::ssize(batch.indices), 6, 6, 3}));
    const Tensor host = batch.images.to(kCpu);
    return {batch.position, batch.indices, {host.span<float>().begin(), host.span<float>().end()}};
  }
  static std::vector<Copy> rest(BatchFeed& feed) {
    std::vector<Copy> all;
    while (const std::optional<Batch> batch = feed.next()) all.push_back(copy(*batch));
    return all;
  }
  static std::vector<Copy> expected(const Dataset& set, std::int64_t epoch,
                                    std::int64_t first = 0) {
    ImageBatches workers(set, augmentation(), options(0));
    workers.start_epoch(epoch, first);
    std::vector<Copy> all;
    while (const auto made = workers.next()) {
      const Batch& batch = made->batch;
      const auto pixels = batch.images.span<float>();
      all.push_back({batch.position, batch.indices, {pixels.begin(), pixels.end()}});
    }
    return all;
  }
};
RUN_ON_EACH_DEVICE(BatchFeedTest);

TEST_P(BatchFeedTest, HandsOutWhatTheLoaderMakes) {
  const ColorSet set(38, {4, 20});
  for (const AugmentOn augment_on : {AugmentOn::kWorkers, AugmentOn::kDevice}) {
    for (const int workers : {0, 1, 3}) {
      BatchFeed feed(set, augmentation(), options(workers, augment_on), device());
      EXPECT_EQ(feed.batches_per_epoch(), 8);
      for (const std::int64_t epoch : {1, 2}) {
        feed.start_epoch(epoch);
        EXPECT_EQ(rest(feed), expected(set, epoch));
        EXPECT_FALSE(feed.next());  // and stays at the end
      }
      EXPECT_EQ(feed.bad_images().size(), 2u);
      EXPECT_EQ(feed.stats().batches, 16);
      EXPECT_EQ(feed.stats().images, 72);
      EXPECT_GT(feed.stats().wait_seconds, 0);
    }
  }
}

TEST_P(BatchFeedTest, BatchesThatAreHeldStayAsTheyAre) {
  const ColorSet set(38);
  for (const AugmentOn augment_on : {AugmentOn::kWorkers, AugmentOn::kDevice}) {
    BatchFeed feed(set, augmentation(), options(2, augment_on), device());
    feed.start_epoch(1);
    std::vector<Batch> held;
    while (std::optional<Batch> batch = feed.next()) held.push_back(*batch);
    std::vector<Copy> copies;
    for (const Batch& batch : held) copies.push_back(copy(batch));
    EXPECT_EQ(copies, expected(set, 1));
  }
}

TEST_P(BatchFeedTest, AnEpochCanBeGivenUpAndGoneOnWith) {
  const ColorSet set(38);
  BatchFeed feed(set, augmentation(), options(2), device());
  for (const std::int64_t taken : {0, 1, 3}) {
    feed.start_epoch(5);
    for (std::int64_t i = 0; i < taken; ++i) feed.next();
    feed.start_epoch(1, 2);
    EXPECT_EQ(rest(feed), expected(set, 1, 2));
  }
}

TEST_P(BatchFeedTest, EndsWithABatchUnderWay) {
  const ColorSet set(38);
  for (const int workers : {0, 2}) {
    BatchFeed feed(set, augmentation(), options(workers), device());
    feed.start_epoch(1);
    feed.next();
    EXPECT_TRUE(feed.bad_images().empty());
  }
}

TEST_P(BatchFeedTest, TooManyBrokenPicturesStopItWhereTheyStopTheLoader) {
  const ColorSet set(20, {1, 2, 3, 4, 5, 6});
  const auto batches_before = [](auto& feed) {
    feed.start_epoch(1);
    int batches = 0;
    const std::string said = error_of([&] {
      while (feed.next()) ++batches;
    });
    EXPECT_THAT(said, ::testing::HasSubstr("of 20 images are bad"));
    return batches;
  };
  ImageBatches workers(set, augmentation(), options(2));
  BatchFeed feed(set, augmentation(), options(2), device());
  EXPECT_EQ(batches_before(feed), batches_before(workers));
  feed.start_epoch(2);  // gives up what failed
}

}  // namespace
}  // namespace invp::testing
