// How a batch is cut into groups, and loaders that make a part of each batch.
#include "data/load/batch_groups.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "data/load/image_batches.h"
#include "engine/core/error.h"
#include "tests/support/close.h"

namespace invp::testing {
namespace {

using ::testing::ElementsAre;

std::vector<std::int64_t> sizes(std::int64_t images, int groups) {
  std::vector<std::int64_t> all;
  for (const BatchPart& group : BatchPart{.groups = groups, .first = 0, .count = groups}.each())
    all.push_back(group.rows(images).count());
  return all;
}

TEST(BatchGroups, AreThoseOfTorchChunk) {
  EXPECT_THAT(sizes(8, 4), ElementsAre(2, 2, 2, 2));
  EXPECT_THAT(sizes(9, 4), ElementsAre(3, 3, 3, 0));
  EXPECT_THAT(sizes(10, 4), ElementsAre(3, 3, 3, 1));
  EXPECT_THAT(sizes(2, 4), ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(sizes(7, 1), ElementsAre(7));
}

TEST(BatchGroups, LeaveOutWhatCannotBeReadInItsOwnGroup) {
  const BatchPart all{.groups = 3, .first = 0, .count = 3};
  const std::vector<std::int64_t> places = {0, 2, 3, 5};  // of 0..5, without 1 and 4
  EXPECT_THAT(rows_by_group(all, 6, places),
              ElementsAre(RowRange{0, 1}, RowRange{1, 3}, RowRange{3, 4}));
  const BatchPart second{.groups = 3, .first = 1, .count = 2};
  EXPECT_THAT(rows_by_group(second, 6, std::vector<std::int64_t>{5}),
              ElementsAre(RowRange{0, 0}, RowRange{0, 1}));
  Batch batch{.images = {}, .indices = {7, 8, 9}};
  EXPECT_THAT(batch.rows({.groups = 2, .first = 0, .count = 2}),
              ElementsAre(RowRange{0, 2}, RowRange{2, 3}))
      << "a batch that nobody parted";
}

/// Image i is gray i. Some cannot be read.
class Grays final : public Dataset {
 public:
  explicit Grays(std::int64_t images, std::set<std::int64_t> broken = {})
      : Dataset("gray", std::vector<std::int32_t>(static_cast<std::size_t>(images), 0), {"gray"}),
        broken_(std::move(broken)) {}
  std::string name(std::int64_t index) const override { return message("gray ", index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    CHECK(!broken_.contains(index), name(index), ": broken");
    sample.encoded = {};
    sample.drawn.reshape(12, 10);
    std::ranges::fill(sample.drawn.pixels, static_cast<std::uint8_t>(index));
    sample.pixels = sample.drawn;
  }

 private:
  std::set<std::int64_t> broken_;
};

std::vector<Batch> epoch_of(const Dataset& set, const LoaderOptions& options) {
  AugmentConfig augment = augment_preset("cifar");
  augment.image_size = 8;
  ImageBatches loader(set, augment, options);
  loader.start_epoch(2);
  std::vector<Batch> batches;
  while (auto made = loader.next()) {
    made->batch.images = made->batch.images.clone();
    batches.push_back(std::move(made->batch));
  }
  return batches;
}

// The last batch has 3 images, which is one for each of the first groups and none for the last.
// Image 40 and others cannot be read.
TEST(BatchParts, AreTheRowsOfTheWholeBatch) {
  const Grays set(43, {4, 9, 17, 40, 41});
  LoaderOptions options{.batch_size = 8, .workers = 2, .seed = 3, .max_bad_share = 1};
  const std::vector<Batch> whole = epoch_of(set, options);
  ASSERT_EQ(whole.size(), 6U);
  for (const int parts : {2, 4}) {
    std::vector<std::size_t> next(whole.size());
    for (int part = 0; part < parts; ++part) {
      options.part = {.groups = 4, .first = part * 4 / parts, .count = 4 / parts};
      options.workers = part % 3;
      const std::vector<Batch> batches = epoch_of(set, options);
      ASSERT_EQ(batches.size(), whole.size()) << "those without a row too";
      for (std::size_t i = 0; i < batches.size(); ++i) {
        const Batch& all = whole[i];
        EXPECT_EQ(batches[i].position, all.position);
        EXPECT_EQ(batches[i].planned, all.planned);
        for (std::size_t row = 0; row < batches[i].indices.size(); ++row, ++next[i]) {
          ASSERT_LT(next[i], all.indices.size());
          EXPECT_EQ(batches[i].indices[row], all.indices[next[i]]);
          EXPECT_EQ(batches[i].places[row], all.places[next[i]]);
          const auto at = static_cast<std::int64_t>(row);
          const auto from = static_cast<std::int64_t>(next[i]);
          expect_identical(batches[i].images.slice(at, at + 1), all.images.slice(from, from + 1));
        }
      }
    }
    for (std::size_t i = 0; i < whole.size(); ++i) EXPECT_EQ(next[i], whole[i].indices.size());
  }
}

// Nine images in four groups are 3, 3, 3 and none; of the last batch's eight, two are the last
// group's.
TEST(BatchParts, TheLastGroupMayHoldMoreOfAShortBatch) {
  const Grays set(17);
  const std::vector<Batch> batches =
      epoch_of(set, {.batch_size = 9, .part = {.groups = 4, .first = 3, .count = 1}});
  ASSERT_EQ(batches.size(), 2U);
  EXPECT_TRUE(batches[0].indices.empty());
  EXPECT_THAT(batches[1].places, ElementsAre(6, 7));
}

TEST(BatchParts, ThatAreNotThereAreRefused) {
  const Grays set(9);
  for (const BatchPart part : {BatchPart{2, 2, 1}, BatchPart{2, 1, 2}, BatchPart{2, 0, 0}})
    EXPECT_THROW(epoch_of(set, {.part = part}), Error);
}

}  // namespace
}  // namespace invp::testing
