#include "data/load/detection_order.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

/// Rows 10, 11, ...; every third is not wide.
std::vector<DetectionOrder::Picture> pictures(std::int64_t count) {
  std::vector<DetectionOrder::Picture> made;
  for (std::int64_t i = 0; i < count; ++i) made.push_back({10 + i, i % 3 != 0});
  return made;
}

bool is_wide(std::int64_t row) {
  return (row - 10) % 3 != 0;
}

BatchPart all(int groups) {
  return {.groups = groups, .count = groups};
}

TEST(DetectionOrder, EveryPictureComesOnceInEachPermutation) {
  DetectionOrder order(pictures(23), all(4), 1, 5);
  std::vector<std::int64_t> stream;
  for (std::int64_t t = 0; t < 23; ++t) {  // 92 positions: four permutations
    for (const StreamPlace& place : order.next()) {
      EXPECT_EQ(place.position, std::ssize(stream));
      stream.push_back(place.picture);
    }
  }
  std::set<std::vector<std::int64_t>> permutations;
  for (std::ptrdiff_t k = 0; k < 4; ++k) {
    std::vector<std::int64_t> one(stream.begin() + 23 * k, stream.begin() + 23 * (k + 1));
    permutations.insert(one);
    std::ranges::sort(one);
    for (std::int64_t i = 0; i < 23; ++i) EXPECT_EQ(one[static_cast<std::size_t>(i)], 10 + i);
  }
  EXPECT_EQ(permutations.size(), 4u);
}

TEST(DetectionOrder, SeedsGiveOtherOrders) {
  DetectionOrder one(pictures(50), all(4), 1, 1), same(pictures(50), all(4), 1, 1),
      other(pictures(50), all(4), 1, 2);
  const std::vector<StreamPlace> first = one.next();
  EXPECT_EQ(first, same.next());
  EXPECT_NE(first, other.next());
}

TEST(DetectionOrder, SeekingGivesWhatWalkingGives) {
  for (const std::int64_t per_group : {1, 2, 3}) {
    DetectionOrder walked(pictures(23), all(2), per_group, 9);
    std::vector<std::vector<StreamPlace>> places;
    for (int t = 0; t < 40; ++t) places.push_back(walked.next());
    DetectionOrder sought(pictures(23), all(2), per_group, 9);
    for (const std::size_t t : {37U, 5U, 6U, 0U, 20U}) {
      sought.seek(static_cast<std::int64_t>(t));
      EXPECT_EQ(sought.next(), places[t]) << per_group << ' ' << t;
      EXPECT_EQ(sought.next(), places[t + 1]) << per_group << ' ' << t;
    }
  }
}

TEST(DetectionOrder, GroupsOfSeveralNeverMixOrientationsAndLoseNoPicture) {
  DetectionOrder order(pictures(23), all(4), 2, 3);
  std::set<std::int64_t> positions;
  constexpr std::int64_t kIterations = 500;
  for (std::int64_t t = 0; t < kIterations; ++t) {
    const std::vector<StreamPlace> places = order.next();
    ASSERT_EQ(places.size(), 8u);
    for (std::size_t i = 0; i < 8; i += 2)
      EXPECT_EQ(is_wide(places[i].picture), is_wide(places[i + 1].picture));
    for (std::size_t i = 0; i < 8; ++i) {
      EXPECT_EQ(places[i].position % 4,
                static_cast<std::int64_t>(i / 2));  // group r: r, r + 4, ...
      EXPECT_TRUE(positions.insert(places[i].position).second);
    }
  }
  // At most one picture a bucket waits.
  EXPECT_LE(*positions.rbegin(), 8 * kIterations + 8);
  for (std::int64_t p = 0; p < 8 * kIterations - 8; p += 997)
    EXPECT_GE(std::ranges::count_if(positions, [&](std::int64_t q) { return q <= p; }), p + 1 - 8);
}

// What several processes of one group each must rely on.
TEST(DetectionOrder, AGroupTakesItsPositionsWhateverTheOthersTake) {
  DetectionOrder two(pictures(1), all(3), 2, 3);  // fewer pictures than places
  for (int t = 0; t < 5; ++t) {
    const auto places = two.next();
    EXPECT_EQ(places[2].position, 1 + 6 * t);
    EXPECT_EQ(places[3].position, 4 + 6 * t);
  }
}

// Parts of a batch, one after another, are the batch; each may begin anywhere.
TEST(DetectionOrder, PartsTogetherGiveTheWhole) {
  for (const std::int64_t per_group : {1, 2}) {
    DetectionOrder whole(pictures(23), all(6), per_group, 9);
    DetectionOrder left(pictures(23), {.groups = 6, .first = 0, .count = 4}, per_group, 9);
    DetectionOrder right(pictures(23), {.groups = 6, .first = 4, .count = 2}, per_group, 9);
    for (DetectionOrder* const order : {&whole, &left, &right}) order->seek(3);
    for (int t = 0; t < 40; ++t) {
      std::vector<StreamPlace> together = left.next();
      const std::vector<StreamPlace> rest = right.next();
      EXPECT_EQ(std::ssize(rest), 2 * per_group);
      together.insert(together.end(), rest.begin(), rest.end());
      EXPECT_EQ(together, whole.next()) << per_group << ' ' << t;
    }
  }
  EXPECT_THAT(testing::error_of(
                  [] { DetectionOrder(pictures(2), {.groups = 2, .first = 1, .count = 2}, 1, 0); }),
              ::testing::HasSubstr("no groups 1 to 2 of 2"));
}

TEST(DetectionOrder, RefusesNothing) {
  EXPECT_THAT(testing::error_of([] { DetectionOrder({}, all(1), 1, 0); }),
              ::testing::HasSubstr("no pictures"));
  EXPECT_THAT(testing::error_of([] { DetectionOrder(pictures(2), all(1), 0, 0); }),
              ::testing::HasSubstr("at least 1 group of 1 picture"));
}

}  // namespace
}  // namespace invp
