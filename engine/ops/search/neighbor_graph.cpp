#include "engine/ops/search/neighbor_graph.h"

#include <algorithm>

#include "engine/core/checks.h"

namespace invp {

namespace {

void check_matrix(const char* op, const char* name, const Tensor& matrix, DType dtype) {
  CHECK(matrix.rank() == 2 && matrix.dtype() == dtype, "[", op, "] ", name, " must be ", dtype,
        " with two dimensions, got ", matrix.dtype(), " ", matrix.shape());
}

void check_indices(const char* op, const Tensor& indices, const Tensor& other) {
  CHECK(indices.rank() == 1 && indices.dtype() == DType::kI32, "[", op,
        "] indices must be i32 of shape (B), got ", indices.dtype(), " ", indices.shape());
  check_same_device(op, other, "indices", indices);
}

void check_similarities(const char* op, const Tensor& similarities, const Tensor& rows) {
  check_matrix(op, "similarities", similarities, DType::kF32);
  CHECK(similarities.shape() == rows.shape(), "[", op, "] similarities ", similarities.shape(),
        " do not fit rows ", rows.shape());
  check_same_device(op, rows, "similarities", similarities);
}

std::int64_t reachable(std::int64_t neighbors, int steps) {
  constexpr std::int64_t kMost = 1 << 20;
  std::int64_t level = 1;
  std::int64_t total = 0;
  for (int step = 0; step < steps; ++step) {
    level *= neighbors;
    total += level;
    CHECK(total <= kMost, "[propagate] ", neighbors, " neighbors over ", steps,
          " steps reach more than ", kMost, " rows: take fewer of either");
  }
  return total;
}

}  // namespace

Tensor propagate(const Tensor& graph, const Tensor& indices, int steps, Propagation propagation) {
  check_matrix("propagate", "the graph", graph, DType::kI32);
  check_indices("propagate", indices, graph);
  CHECK(steps >= 1, "[propagate] steps must be at least 1, got ", steps);
  const Tensor positives =
      Tensor::empty({indices.dim(0), reachable(graph.dim(1), steps)}, DType::kI32, graph.device());
  DISPATCH(graph.device(), propagate, graph, indices, steps, propagation, positives);
  return positives;
}

Tensor choose_positives(const Tensor& positives, const Tensor& similarities, std::int64_t count,
                        PositiveChoice choice) {
  check_matrix("choose_positives", "positives", positives, DType::kI32);
  check_similarities("choose_positives", similarities, positives);
  CHECK(count >= 1, "[choose_positives] count must be at least 1, got ", count);
  const std::int64_t width = positives.dim(1);
  const Tensor chosen = Tensor::empty(
      {positives.dim(0), choice == PositiveChoice::kAll ? width : std::min(count, width)},
      DType::kI32, positives.device());
  DISPATCH(positives.device(), choose_positives, positives, similarities, choice, chosen);
  return chosen;
}

Tensor nearest_neighbors(const Tensor& rows, const Tensor& similarities, const Tensor& indices,
                         std::int64_t neighbors, bool replace_in_place) {
  check_matrix("nearest_neighbors", "rows", rows, DType::kI32);
  check_similarities("nearest_neighbors", similarities, rows);
  check_indices("nearest_neighbors", indices, rows);
  CHECK(indices.dim(0) == rows.dim(0), "[nearest_neighbors] ", indices.dim(0), " indices for rows ",
        rows.shape());
  CHECK(neighbors >= 1, "[nearest_neighbors] needs at least 1 neighbor, got ", neighbors);
  const Tensor nearest = Tensor::empty({rows.dim(0), neighbors}, DType::kI32, rows.device());
  DISPATCH(rows.device(), nearest_neighbors, rows, similarities, indices, replace_in_place,
           nearest);
  return nearest;
}

void set_neighbors(const Tensor& graph, const Tensor& indices, const Tensor& neighbors,
                   const Tensor& halted) {
  check_matrix("set_neighbors", "the graph", graph, DType::kI32);
  check_indices("set_neighbors", indices, graph);
  CHECK((neighbors.shape() == Shape{indices.dim(0), graph.dim(1)}) &&
            neighbors.dtype() == DType::kI32,
        "[set_neighbors] neighbors must be i32 of shape ", Shape{indices.dim(0), graph.dim(1)},
        ", got ", neighbors.dtype(), " ", neighbors.shape());
  check_same_device("set_neighbors", graph, "neighbors", neighbors);
  check_scalar("set_neighbors", graph, "halted", halted, DType::kI32);
  DISPATCH(graph.device(), set_neighbors, graph, indices, neighbors, halted);
}

}  // namespace invp
