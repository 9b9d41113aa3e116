// Walks, choices and refreshes small enough to be checked by hand.
#include "invp/neighbour_graph.h"

#include <gtest/gtest.h>

#include "engine/ops/neighbour_graph.h"
#include "tests/support/values.h"

namespace invp {
namespace {

using List = std::vector<std::int32_t>;

Tensor lists(const List& values, std::int64_t rows) {
  return Tensor::from(values, {rows, std::ssize(values) / rows});
}

List list_of(const Tensor& tensor) {
  return {tensor.span<std::int32_t>().begin(), tensor.span<std::int32_t>().end()};
}

Tensor index(std::int32_t i) {
  return Tensor::from(List{i}, {1});
}

// 0 -> 1, 2; 1 -> 0, 3; 2 -> 3, 3; 3 unset; 4 -> 4, 0
const List kGraph = {1, 2, 0, 3, 3, 3, -1, -1, 4, 0};

TEST(Propagate, FindsEveryRowOnceByDistance) {
  const Tensor graph = lists(kGraph, 5);
  const auto walk = [&](std::int32_t from, int steps) {
    return list_of(propagate(graph, index(from), steps, Propagation::kDistinct));
  };
  EXPECT_EQ(walk(0, 1), (List{1, 2}));
  EXPECT_EQ(walk(0, 2), (List{1, 2, 3, -1, -1, -1}));
  EXPECT_EQ(walk(4, 2), (List{0, 1, 2, -1, -1, -1}));
  EXPECT_EQ(walk(3, 2), (List{-1, -1, -1, -1, -1, -1}));
}

TEST(Propagate, RepeatsLevelByLevelInTheReleasedForm) {
  const Tensor graph = lists(kGraph, 5);
  const auto walk = [&](std::int32_t from, int steps) {
    return list_of(propagate(graph, index(from), steps, Propagation::kRepeated));
  };
  EXPECT_EQ(walk(0, 2), (List{1, 2, 0, 3, 3, 3}));
  EXPECT_EQ(walk(0, 3), (List{1, 2, 0, 3, 3, 3, 1, 2, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(walk(4, 2), (List{4, 0, 4, 0, 1, 2}));
}

TEST(Propagate, RefusesExplosions) {
  EXPECT_THROW(propagate(lists(List(100 * 100, 1), 100), index(0), 4, Propagation::kDistinct),
               Error);
  EXPECT_THROW(propagate(lists(kGraph, 5), index(0), 0, Propagation::kDistinct), Error);
}

TEST(ChoosePositives, TakesTheChosenEndAndTheEarlierOfEquals) {
  const Tensor rows = lists({7, 5, 9, 5, -1, 3}, 1);
  const Tensor similarities = testing::tensor({0.5, 0.25, 0.75, 0.25, 0, 0.5}, {1, 6});
  const auto choose = [&](std::int64_t count, PositiveChoice choice) {
    return list_of(choose_positives(rows, similarities, count, choice));
  };
  EXPECT_EQ(choose(3, PositiveChoice::kLeastSimilar), (List{7, 5, 5}));
  EXPECT_EQ(choose(2, PositiveChoice::kMostSimilar), (List{7, 9}));
  EXPECT_EQ(choose(6, PositiveChoice::kLeastSimilar), (List{7, 5, 9, 5, 3, -1}));
  EXPECT_EQ(choose(1, PositiveChoice::kAll), (List{7, 5, 9, 5, 3, -1}));
  EXPECT_EQ(choose(50, PositiveChoice::kMostSimilar).size(), 6u);
}

TEST(NearestNeighbours, LeavesTheImageOutOrDropsTheLast) {
  const Tensor rows = lists({0, 2, 4, 6, 8}, 1);
  const Tensor similarities = testing::tensor({0.1, 0.9, 0.5, 0.7, 0.5}, {1, 5});
  const auto nearest = [&](std::int32_t self, std::int64_t count, bool in_place) {
    return list_of(nearest_neighbours(rows, similarities, index(self), count, in_place));
  };
  EXPECT_EQ(nearest(2, 3, false), (List{6, 4, 8}));
  EXPECT_EQ(nearest(2, 3, true), (List{8, 6, 4}));
  EXPECT_EQ(nearest(8, 3, true), (List{2, 6, 4}));
  EXPECT_EQ(nearest(0, 3, false), (List{2, 6, 4}));
  EXPECT_EQ(nearest(0, 3, true), (List{2, 6, 4}));
  EXPECT_EQ(nearest(6, 6, false), (List{2, 4, 8, 0, -1, -1}));
}

TEST(NeighbourGraph, StartsUnsetAndIsUpdatedInOrder) {
  NeighbourGraph graph(4, 2);
  EXPECT_EQ(list_of(graph.rows()), List(8, -1));
  graph.update(Tensor::from(List{3, 1, 3}, {3}), lists({0, 1, 2, 3, 1, 2}, 3));
  EXPECT_EQ(list_of(graph.rows()), (List{-1, -1, 2, 3, -1, -1, 1, 2}));
  EXPECT_THROW(graph.update(index(0), lists({1, 2, 3}, 1)), Error);
}

TEST(NeighbourGraph, RefusesRowsThatAreNotThere) {
  EXPECT_THROW(NeighbourGraph(lists({0, 1, 2, 4}, 2)), Error);
  EXPECT_THROW(NeighbourGraph(lists({0, 1, -2, 1}, 2)), Error);
  EXPECT_NO_THROW(NeighbourGraph(lists({0, 1, -1, 1}, 2)));
}

}  // namespace
}  // namespace invp
