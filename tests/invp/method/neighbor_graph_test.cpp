// Walks, choices and refreshes small enough to be checked by hand, and larger ones on which all
// devices must agree.
#include "invp/method/neighbor_graph.h"

#include <gtest/gtest.h>

#include "engine/ops/search/neighbor_graph.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

using List = std::vector<std::int32_t>;

List list_of(const Tensor& tensor) {
  const Tensor host = tensor.to(kCpu);
  return {host.span<std::int32_t>().begin(), host.span<std::int32_t>().end()};
}

class NeighborGraphTest : public testing::DeviceTest {
 protected:
  static Tensor lists(const List& values, std::int64_t rows) {
    return Tensor::from(values, {rows, std::ssize(values) / rows}, device());
  }
  static Tensor index(std::int32_t i) { return Tensor::from(List{i}, {1}, device()); }
  static Tensor similarities(const testing::Values& values, const Shape& shape) {
    return testing::tensor(values, shape, device());
  }
};
RUN_ON_EACH_DEVICE(NeighborGraphTest);

// 0 -> 1, 2; 1 -> 0, 3; 2 -> 3, 3; 3 unset; 4 -> 4, 0
const List kGraph = {1, 2, 0, 3, 3, 3, -1, -1, 4, 0};

TEST_P(NeighborGraphTest, PropagateFindsEveryRowOnceByDistance) {
  const Tensor graph = lists(kGraph, 5);
  const auto walk = [&](std::int32_t from, int steps) {
    return list_of(propagate(graph, index(from), steps, Propagation::kDistinct));
  };
  EXPECT_EQ(walk(0, 1), (List{1, 2}));
  EXPECT_EQ(walk(0, 2), (List{1, 2, 3, -1, -1, -1}));
  EXPECT_EQ(walk(4, 2), (List{0, 1, 2, -1, -1, -1}));
  EXPECT_EQ(walk(3, 2), (List{-1, -1, -1, -1, -1, -1}));
}

TEST_P(NeighborGraphTest, PropagateRepeatsLevelByLevelInTheReleasedForm) {
  const Tensor graph = lists(kGraph, 5);
  const auto walk = [&](std::int32_t from, int steps) {
    return list_of(propagate(graph, index(from), steps, Propagation::kRepeated));
  };
  EXPECT_EQ(walk(0, 2), (List{1, 2, 0, 3, 3, 3}));
  EXPECT_EQ(walk(0, 3), (List{1, 2, 0, 3, 3, 3, 1, 2, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(walk(4, 2), (List{4, 0, 4, 0, 1, 2}));
}

TEST_P(NeighborGraphTest, PropagateRefusesExplosions) {
  EXPECT_THROW(propagate(lists(List(100 * 100, 1), 100), index(0), 4, Propagation::kDistinct),
               Error);
  EXPECT_THROW(propagate(lists(kGraph, 5), index(0), 0, Propagation::kDistinct), Error);
}

TEST_P(NeighborGraphTest, ChoosePositivesTakesTheChosenEndAndTheEarlierOfEquals) {
  const Tensor rows = lists({7, 5, 9, 5, -1, 3}, 1);
  const Tensor values = similarities({0.5, 0.25, 0.75, 0.25, 0, 0.5}, {1, 6});
  const auto choose = [&](std::int64_t count, PositiveChoice choice) {
    return list_of(choose_positives(rows, values, count, choice));
  };
  EXPECT_EQ(choose(3, PositiveChoice::kLeastSimilar), (List{7, 5, 5}));
  EXPECT_EQ(choose(2, PositiveChoice::kMostSimilar), (List{7, 9}));
  EXPECT_EQ(choose(6, PositiveChoice::kLeastSimilar), (List{7, 5, 9, 5, 3, -1}));
  EXPECT_EQ(choose(1, PositiveChoice::kAll), (List{7, 5, 9, 5, 3, -1}));
  EXPECT_EQ(choose(50, PositiveChoice::kMostSimilar).size(), 6u);
}

TEST_P(NeighborGraphTest, NearestNeighborsLeavesTheImageOutOrDropsTheLast) {
  const Tensor rows = lists({0, 2, 4, 6, 8}, 1);
  const Tensor values = similarities({0.1, 0.9, 0.5, 0.7, 0.5}, {1, 5});
  const auto nearest = [&](std::int32_t self, std::int64_t count, bool in_place) {
    return list_of(nearest_neighbors(rows, values, index(self), count, in_place));
  };
  EXPECT_EQ(nearest(2, 3, false), (List{6, 4, 8}));
  EXPECT_EQ(nearest(2, 3, true), (List{8, 6, 4}));
  EXPECT_EQ(nearest(8, 3, true), (List{2, 6, 4}));
  EXPECT_EQ(nearest(0, 3, false), (List{2, 6, 4}));
  EXPECT_EQ(nearest(0, 3, true), (List{2, 6, 4}));
  EXPECT_EQ(nearest(6, 6, false), (List{2, 4, 8, 0, -1, -1}));
}

TEST_P(NeighborGraphTest, StartsUnsetAndIsUpdatedInOrder) {
  NeighborGraph graph(4, 2, device());
  EXPECT_EQ(list_of(graph.rows()), List(8, -1));
  graph.update(Tensor::from(List{3, 1, 3}, {3}, device()), lists({0, 1, 2, 3, 1, 2}, 3));
  EXPECT_EQ(list_of(graph.rows()), (List{-1, -1, 2, 3, -1, -1, 1, 2}));
  EXPECT_THROW(graph.update(index(0), lists({1, 2, 3}, 1)), Error);
}

TEST_P(NeighborGraphTest, StaysAsItIsWhileHalted) {
  NeighborGraph graph(2, 2, device());
  graph.update(index(0), lists({1, 1}, 1), Tensor::from(List{1}, {1}, device()));
  EXPECT_EQ(list_of(graph.rows()), List(4, -1));
  graph.update(index(0), lists({1, 1}, 1), Tensor::from(List{0}, {1}, device()));
  EXPECT_EQ(list_of(graph.rows()), (List{1, 1, -1, -1}));
}

List random_rows(std::uint64_t seed, std::int64_t count, std::int64_t low, std::int64_t high) {
  Random random(seed, Purpose::kSynthetic);
  List rows(static_cast<std::size_t>(count));
  for (std::int32_t& row : rows) row = static_cast<std::int32_t>(random.integer(low, high));
  return rows;
}

struct Walk {
  std::int64_t rows, neighbors, batch;
  int steps;
};

// The last one reaches more rows than a table in shared memory holds.
TEST_P(NeighborGraphTest, PropagateDiscoversInOneOrderEverywhere) {
  for (const auto& [rows, neighbors, batch, steps] :
       {Walk{60, 4, 9, 3}, Walk{1000, 4, 5, 4}, Walk{12, 5, 3, 3}, Walk{500, 1, 2, 6},
        Walk{4000, 55, 2, 2}}) {
    SCOPED_TRACE(message(rows, " rows, ", neighbors, " neighbors, ", steps, " steps"));
    const Tensor graph =
        Tensor::from(random_rows(1, rows * neighbors, -1, rows - 1), {rows, neighbors});
    const Tensor indices = Tensor::from(random_rows(2, batch, 0, rows - 1), {batch});
    for (const Propagation propagation : {Propagation::kDistinct, Propagation::kRepeated}) {
      testing::expect_identical(
          propagate(graph.to(device()), indices.to(device()), steps, propagation),
          propagate(graph, indices, steps, propagation));
    }
  }
}

// Few distinct similarities, so that ties decide.
TEST_P(NeighborGraphTest, ChoosePositivesAgreesEverywhere) {
  for (const std::int64_t width : {1, 31, 84, 700}) {
    const Tensor rows = Tensor::from(random_rows(3, 4 * width, -1, 5), {4, width});
    testing::Values coarse;
    for (const std::int32_t value : random_rows(4, 4 * width, -6, 6)) coarse.push_back(value);
    const Tensor values = testing::tensor(coarse, {4, width});
    for (const PositiveChoice choice :
         {PositiveChoice::kLeastSimilar, PositiveChoice::kMostSimilar, PositiveChoice::kAll}) {
      for (const std::int64_t count : {1, 50, 1000}) {
        testing::expect_identical(
            choose_positives(rows.to(device()), values.to(device()), count, choice),
            choose_positives(rows, values, count, choice));
      }
    }
  }
}

TEST_P(NeighborGraphTest, NearestNeighborsAgreesEverywhere) {
  for (const std::int64_t width : {1, 4, 5, 1200}) {
    List ascending(static_cast<std::size_t>(3 * width));
    testing::Values coarse;
    for (std::int64_t i = 0; i < 3 * width; ++i) {
      ascending[static_cast<std::size_t>(i)] = static_cast<std::int32_t>(i % width * 2);
    }
    for (const std::int32_t value : random_rows(5, 3 * width, -9, 9)) coarse.push_back(value);
    const Tensor rows = Tensor::from(ascending, {3, width});
    const Tensor values = testing::tensor(coarse, {3, width});
    for (const bool in_place : {false, true}) {
      const Tensor self = Tensor::from(List{0, 2, static_cast<std::int32_t>(2 * width - 2)}, {3});
      testing::expect_identical(
          nearest_neighbors(rows.to(device()), values.to(device()), self.to(device()), 4, in_place),
          nearest_neighbors(rows, values, self, 4, in_place));
    }
  }
}

TEST_P(NeighborGraphTest, LastOfManyDuplicatesStays) {
  const List rows = random_rows(6, 100, 0, 6);
  const List values = random_rows(7, 300, 0, 6);
  NeighborGraph here(7, 3, device());
  NeighborGraph there(7, 3);
  here.update(Tensor::from(rows, {100}, device()), lists(values, 100));
  there.update(Tensor::from(rows, {100}), Tensor::from(values, {100, 3}));
  testing::expect_identical(here.rows(), there.rows());
}

TEST_P(NeighborGraphTest, RefusesRowsThatAreNotThere) {
  EXPECT_THROW(NeighborGraph(lists({0, 1, 2, 4}, 2)), Error);
  EXPECT_THROW(NeighborGraph(lists({0, 1, -2, 1}, 2)), Error);
  EXPECT_NO_THROW(NeighborGraph(lists({0, 1, -1, 1}, 2)));
}

}  // namespace
}  // namespace invp
