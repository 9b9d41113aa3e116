#include "data/load/image_batches.h"

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <set>
#include <thread>

#include "engine/core/error.h"
#include "engine/files/file_reader.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using testing::error_of;
using namespace std::chrono_literals;
using ::testing::HasSubstr;

/// Picture i is gray i; some are broken, one throws what is no Error.
class GraySet final : public Dataset {
 public:
  explicit GraySet(std::int64_t n, std::set<std::int64_t> broken = {}, std::int64_t fatal = -1,
                   int milliseconds = 0)
      : Dataset("gray", std::vector<std::int32_t>(static_cast<std::size_t>(n), 0), {"gray"}),
        broken_(std::move(broken)),
        fatal_(fatal),
        pause_(milliseconds) {}

  std::string name(std::int64_t index) const override {
    return "gray[" + std::to_string(index) + "]";
  }
  void fetch(std::int64_t index, Sample& sample) const override {
    ++fetched;
    if (pause_.count() > 0) std::this_thread::sleep_for(pause_);
    if (index == fatal_) throw std::logic_error("unforeseen");
    CHECK(!broken_.contains(index), name(index), ": broken");
    sample.encoded = {};
    sample.drawn.reshape(12, 10);
    std::ranges::fill(sample.drawn.pixels, static_cast<std::uint8_t>(index % 256));
    for (int x = 0; x < 12; ++x) sample.drawn.at(x, 3)[0] = static_cast<std::uint8_t>(20 * x);
    sample.pixels = sample.drawn;
  }

  mutable std::atomic<int> fetched = 0;

 private:
  std::set<std::int64_t> broken_;
  std::int64_t fatal_;
  std::chrono::milliseconds pause_;
};

AugmentConfig augmentation() {
  AugmentConfig config = augment_preset("cifar");
  config.image_size = 8;
  config.flip_prob = 0.5;
  return config;
}

struct Copy {
  std::int64_t position;
  std::vector<std::int64_t> indices;
  std::vector<float> pixels;
  bool operator==(const Copy&) const = default;
};

std::vector<Copy> rest_of_epoch(ImageBatches& loader) {
  std::vector<Copy> batches;
  while (const auto made = loader.next()) {
    const Batch& batch = made->batch;
    const auto pixels = batch.images.span<float>();
    EXPECT_EQ(batch.images.shape(), (Shape{std::ssize(batch.indices), 8, 8, 3}));
    EXPECT_EQ(batch.labels.size(), batch.indices.size());
    batches.push_back({batch.position, batch.indices, {pixels.begin(), pixels.end()}});
  }
  return batches;
}

std::vector<Copy> run(const Dataset& set, LoaderOptions options, std::int64_t epoch,
                      std::int64_t first = 0) {
  ImageBatches loader(set, augmentation(), options);
  loader.start_epoch(epoch, first);
  return rest_of_epoch(loader);
}

TEST(ImageBatches, OutputDoesNotDependOnWorkersOrPrefetch) {
  const GraySet set(83, {5, 6, 40});
  LoaderOptions options{.batch_size = 13, .workers = 0, .seed = 7, .max_bad_share = 0.2};
  const std::vector<Copy> expected = run(set, options, 3);
  ASSERT_EQ(expected.size(), 7u);
  for (const int workers : {1, 2, 5, 16}) {
    for (const int prefetch : {1, 2, 7}) {
      options.workers = workers;
      options.prefetch = prefetch;
      EXPECT_EQ(run(set, options, 3), expected) << workers << " workers, " << prefetch << " ahead";
    }
  }
}

// 83 images in batches of 13: seven, the last of 5. Taken in turn they are the batches of one.
TEST(ImageBatches, WholeBatchesGoRoundThoseWhoTakeTurns) {
  const GraySet set(83, {5, 6, 40});
  LoaderOptions options{
      .batch_size = 13, .workers = 1, .seed = 7, .shuffle = false, .max_bad_share = 0.2};
  const std::vector<Copy> whole = run(set, options, 3);
  ASSERT_EQ(whole.size(), 7u);
  for (const int turns : {2, 3, 7, 9}) {
    options.turns = turns;
    std::vector<Copy> together;
    for (options.turn = 0; options.turn < turns; ++options.turn) {
      for (const Copy& batch : run(set, options, 3)) {
        EXPECT_EQ(batch.position % turns, options.turn);
        together.push_back(batch);
      }
    }
    std::ranges::sort(together, {}, &Copy::position);
    EXPECT_EQ(together, whole) << turns;
  }
  options.turns = options.turn = 2;
  EXPECT_THAT(error_of([&] { ImageBatches(set, augmentation(), options); }),
              HasSubstr("no turn 2 of 2"));
}

TEST(ImageBatches, AnEpochHoldsEachPictureOnceInAnOrderOfItsOwn) {
  const GraySet set(50);
  const LoaderOptions options{.batch_size = 8, .workers = 2, .seed = 1};
  std::vector<std::vector<std::int64_t>> orders;
  for (const std::int64_t epoch : {0, 1}) {
    std::vector<std::int64_t> order;
    for (const Copy& batch : run(set, options, epoch))
      order.insert(order.end(), batch.indices.begin(), batch.indices.end());
    orders.push_back(order);
    std::ranges::sort(order);
    for (std::int64_t i = 0; i < 50; ++i) EXPECT_EQ(order[static_cast<std::size_t>(i)], i);
  }
  EXPECT_NE(orders[0], orders[1]);
  std::vector<std::int64_t> expected(50);
  for (std::int64_t i = 0; i < 50; ++i) expected[static_cast<std::size_t>(i)] = i;
  Random(1, Purpose::kOrder, 1).shuffle(std::span(expected));
  EXPECT_EQ(orders[1], expected);
}

TEST(ImageBatches, RowsAreWhatTheAugmenterMakesOfThePicture) {
  const GraySet set(10);
  const std::vector<Copy> batches = run(set, {.batch_size = 4, .workers = 3, .seed = 9}, 2);
  Augmenter augmenter(augmentation());
  Sample sample;
  for (const Copy& batch : batches) {
    for (std::size_t row = 0; row < batch.indices.size(); ++row) {
      const std::int64_t index = batch.indices[row];
      Random random(9, Purpose::kAugmentation, 2, static_cast<std::uint64_t>(index));
      std::vector<float> expected(192);
      set.fetch(index, sample);
      augmenter.augment_into(sample.pixels, random, expected.data());
      EXPECT_TRUE(std::equal(expected.begin(), expected.end(),
                             batch.pixels.begin() + static_cast<std::ptrdiff_t>(row * 192)));
    }
  }
}

TEST(ImageBatches, AResumedEpochGoesOnWithTheSameBatches) {
  const GraySet set(61);
  for (const int workers : {0, 3}) {
    const LoaderOptions options{.batch_size = 8, .workers = workers, .seed = 4};
    const std::vector<Copy> whole = run(set, options, 5);
    for (std::size_t first = 0; first <= whole.size(); ++first) {
      const std::vector<Copy> tail = run(set, options, 5, static_cast<std::int64_t>(first));
      EXPECT_TRUE(std::equal(tail.begin(), tail.end(),
                             whole.begin() + static_cast<std::ptrdiff_t>(first), whole.end()));
    }
  }
}

TEST(ImageBatches, AnEpochCanBeGivenUp) {
  const GraySet set(64, {}, -1, 1);
  const LoaderOptions options{.batch_size = 4, .workers = 4, .seed = 2, .prefetch = 3};
  const std::vector<Copy> expected = run(set, options, 1);
  ImageBatches loader(set, augmentation(), options);
  for (int taken = 0; taken < 6; ++taken) {
    loader.start_epoch(0);
    for (int i = 0; i < taken; ++i) loader.next();
    loader.start_epoch(1);
    EXPECT_EQ(rest_of_epoch(loader), expected);
    EXPECT_FALSE(loader.next().has_value());
  }
}

TEST(ImageBatches, KeepsOrDropsTheLastBatch) {
  const GraySet set(10);
  EXPECT_EQ(run(set, {.batch_size = 4, .shuffle = false}, 0).back().indices,
            (std::vector<std::int64_t>{8, 9}));
  EXPECT_EQ(run(set, {.batch_size = 4, .shuffle = false, .drop_last = true}, 0).size(), 2u);
  EXPECT_EQ(run(set, {.batch_size = 100}, 0).size(), 1u);
  EXPECT_TRUE(run(set, {.batch_size = 100, .drop_last = true}, 0).empty());
}

TEST(ImageBatches, LeavesBrokenPicturesOutAndListsThemOnce) {
  const GraySet set(40, {0, 1, 2, 3, 17});
  for (const int workers : {0, 3}) {
    ImageBatches loader(
        set, augmentation(),
        {.batch_size = 4, .workers = workers, .shuffle = false, .max_bad_share = 0.125});
    for (int epoch = 0; epoch < 2; ++epoch) {
      loader.start_epoch(epoch);
      const std::vector<Copy> batches = rest_of_epoch(loader);
      ASSERT_EQ(batches.size(), 9u) << "the first batch has nothing left";
      EXPECT_EQ(batches[0].position, 1);
      EXPECT_EQ(batches[3].indices, (std::vector<std::int64_t>{16, 18, 19}));
      EXPECT_EQ(batches[3].pixels.size(), 3u * 192);
    }
    ASSERT_EQ(loader.bad_images().size(), 5u);
    EXPECT_EQ(loader.bad_images()[4].file, "gray[17]");
    EXPECT_THAT(loader.bad_images()[4].reason, HasSubstr("broken"));
    EXPECT_EQ(loader.stats().images, 70);
    EXPECT_EQ(loader.stats().batches, 18);
  }
}

// As after a run is resumed: the images count from the start, by the names that the set has.
TEST(ImageBatches, RemembersWhatWasBrokenBefore) {
  const GraySet set(40, {3, 17});
  ImageBatches loader(set, augmentation(),
                      {.batch_size = 4, .workers = 0, .shuffle = false, .max_bad_share = 0.1});
  loader.remember_bad({{17, ": cut short"}, {30, ""}, {31, "no name before it"}});
  ASSERT_EQ(loader.bad_images().size(), 3u);
  EXPECT_EQ(loader.bad_images()[0].reason, set.name(17) + ": cut short");
  EXPECT_THAT(loader.bad_images()[1].reason, HasSubstr("gray[30]: could not be read before"));
  EXPECT_EQ(loader.bad_images()[2].reason, "no name before it");
  loader.start_epoch(0);
  rest_of_epoch(loader);
  const std::vector<BadPlace> places = loader.bad_places();
  std::vector<std::int64_t> indices;
  for (const BadPlace& place : places) indices.push_back(place.index);
  EXPECT_EQ(indices, (std::vector<std::int64_t>{17, 30, 31, 3}));
  EXPECT_THAT(loader.bad_images()[0].reason, HasSubstr("broken")) << "now it is known";
  // What is remembered of them is all that is told of them.
  ImageBatches resumed(set, augmentation(), {.batch_size = 4, .workers = 0, .max_bad_share = 0.1});
  resumed.remember_bad(places);
  EXPECT_EQ(resumed.bad_places(), places);
  for (std::size_t i = 0; i < places.size(); ++i) {
    EXPECT_EQ(resumed.bad_images()[i].file, loader.bad_images()[i].file);
    EXPECT_EQ(resumed.bad_images()[i].reason, loader.bad_images()[i].reason);
  }
  EXPECT_THAT(error_of([&] { loader.remember_bad({{.index = 40}}); }), HasSubstr("image 40"));
  ImageBatches strict(set, augmentation(),
                      {.batch_size = 4, .workers = 0, .shuffle = false, .max_bad_share = 0.05});
  strict.remember_bad({{.index = 17}, {.index = 30}});
  strict.start_epoch(0);
  EXPECT_THAT(error_of([&] { strict.next(); }), HasSubstr("3 of 40"));
}

// That no more files can be opened says nothing about the images.
TEST(ImageBatches, WhatTheMachineCannotReadIsNotBroken) {
  const testing::TempFolder folder;
  std::ofstream(folder / "a.jpg") << "no image";
  std::ofstream(folder / "b.jpg") << "no image";
  const FileDataset set("files", folder.path(), {"a.jpg", "b.jpg"}, {0, 0}, {"all"});
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  for (const int workers : {0, 2}) {
    ImageBatches loader(
        set, augmentation(),
        {.batch_size = 2, .workers = workers, .max_bad_share = 1, .patience = 20ms});
    const int next = dup(0);
    close(next);
    rlimit none = before;
    none.rlim_cur = static_cast<rlim_t>(next);
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &none), 0);
    loader.start_epoch(0);
    EXPECT_THROW(loader.next(), SystemError);
    EXPECT_TRUE(loader.bad_images().empty());
    ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
    loader.start_epoch(0);
    EXPECT_FALSE(loader.next().has_value());
    EXPECT_EQ(loader.bad_images().size(), 2u) << "these are";
  }
}

TEST(ImageBatches, StopsWhenTooManyAreBroken) {
  const GraySet set(40, {8, 9, 10});
  for (const int workers : {0, 4}) {
    ImageBatches loader(
        set, augmentation(),
        {.batch_size = 4, .workers = workers, .shuffle = false, .max_bad_share = 0.05});
    loader.start_epoch(0);
    EXPECT_TRUE(loader.next().has_value());
    EXPECT_TRUE(loader.next().has_value());
    const std::string error = error_of([&] { loader.next(); });
    EXPECT_THAT(error, HasSubstr("3 of 40"));
    EXPECT_THAT(error, HasSubstr("gray[8]: broken"));
  }
}

TEST(ImageBatches, PassesOnOtherExceptions) {
  const GraySet set(64, {}, 30);
  for (const int workers : {0, 1, 8}) {
    ImageBatches loader(set, augmentation(),
                        {.batch_size = 4, .workers = workers, .shuffle = false});
    loader.start_epoch(0);
    for (int i = 0; i < 7; ++i) EXPECT_TRUE(loader.next().has_value()) << workers;
    EXPECT_THROW(loader.next(), std::logic_error) << workers;
    EXPECT_FALSE(loader.next().has_value());
    loader.start_epoch(0, 8);  // the rest of the epoch is sound, and the workers are alive
    EXPECT_EQ(rest_of_epoch(loader).size(), 8u);
  }
}

TEST(ImageBatches, EndsAtAnyMoment) {
  const GraySet set(256, {}, -1, 1);
  for (int taken = 0; taken < 8; ++taken) {
    for (const int workers : {1, 8}) {
      ImageBatches loader(set, augmentation(), {.batch_size = 8, .workers = workers});
      if (taken > 0) loader.start_epoch(0);
      for (int i = 1; i < taken; ++i) loader.next();
    }
  }
  EXPECT_GT(set.fetched, 0);
}

TEST(ImageBatches, UsesItsBuffersAgainButNeverUnderABatchInUse) {
  const GraySet set(160);
  ImageBatches loader(set, augmentation(),
                      {.batch_size = 4, .workers = 2, .shuffle = false, .prefetch = 2});
  loader.start_epoch(0);
  const std::optional<HostBatch> kept = loader.next();
  const Tensor& images = kept->batch.images;
  const auto pixels = images.span<float>();
  const std::vector<float> before(pixels.begin(), pixels.end());
  std::map<const void*, int> buffers;
  while (const auto made = loader.next()) ++buffers[made->batch.images.raw()];
  EXPECT_LE(buffers.size(), 3u);
  EXPECT_FALSE(buffers.contains(images.raw()));
  EXPECT_TRUE(std::equal(before.begin(), before.end(), pixels.begin()));
}

TEST(ImageBatches, WorksAheadNoFurtherThanItMay) {
  const GraySet set(400);
  ImageBatches loader(set, augmentation(), {.batch_size = 4, .workers = 4, .prefetch = 2});
  loader.start_epoch(0);
  ASSERT_TRUE(loader.next().has_value());
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  EXPECT_EQ(set.fetched, 3 * 4);
}

TEST(ImageBatches, RefusesSettingsOutOfRange) {
  const GraySet set(4);
  const GraySet none(0);
  const auto says = [&](const LoaderOptions& options) {
    return error_of([&] { ImageBatches(set, augmentation(), options); });
  };
  EXPECT_THAT(says({.batch_size = 0}), HasSubstr("batch size"));
  EXPECT_THAT(says({.workers = -1}), HasSubstr("workers"));
  EXPECT_THAT(says({.prefetch = 0}), HasSubstr("ahead"));
  EXPECT_THAT(says({.max_bad_share = 2}), HasSubstr("share"));
  EXPECT_THAT(error_of([&] { ImageBatches(none, augmentation(), {}); }), HasSubstr("empty"));
  ImageBatches loader(set, augmentation(), {});
  EXPECT_THAT(error_of([&] { loader.start_epoch(0, 5); }), HasSubstr("cannot begin"));
}

}  // namespace
}  // namespace invp
