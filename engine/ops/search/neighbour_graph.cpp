#include "engine/ops/search/neighbour_graph.h"

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

std::int64_t reachable(std::int64_t neighbours, int steps) {
  constexpr std::int64_t kMost = 1 << 20;
  std::int64_t level = 1;
  std::int64_t total = 0;
  for (int step = 0; step < steps; ++step) {
    level *= neighbours;
    total += level;
    CHECK(total <= kMost, "[propagate] ", neighbours, " neighbours over ", steps,
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

Tensor nearest_neighbours(const Tensor& rows, const Tensor& similarities, const Tensor& indices,
                          std::int64_t neighbours, bool replace_in_place) {
  check_matrix("nearest_neighbours", "rows", rows, DType::kI32);
  check_similarities("nearest_neighbours", similarities, rows);
  check_indices("nearest_neighbours", indices, rows);
  CHECK(indices.dim(0) == rows.dim(0), "[nearest_neighbours] ", indices.dim(0),
        " indices for rows ", rows.shape());
  CHECK(neighbours >= 1, "[nearest_neighbours] needs at least 1 neighbour, got ", neighbours);
  const Tensor nearest = Tensor::empty({rows.dim(0), neighbours}, DType::kI32, rows.device());
  DISPATCH(rows.device(), nearest_neighbours, rows, similarities, indices, replace_in_place,
           nearest);
  return nearest;
}

void set_neighbours(const Tensor& graph, const Tensor& indices, const Tensor& neighbours,
                    const Tensor& halted) {
  check_matrix("set_neighbours", "the graph", graph, DType::kI32);
  check_indices("set_neighbours", indices, graph);
  CHECK((neighbours.shape() == Shape{indices.dim(0), graph.dim(1)}) &&
            neighbours.dtype() == DType::kI32,
        "[set_neighbours] neighbours must be i32 of shape ", Shape{indices.dim(0), graph.dim(1)},
        ", got ", neighbours.dtype(), " ", neighbours.shape());
  check_same_device("set_neighbours", graph, "neighbours", neighbours);
  check_scalar("set_neighbours", graph, "halted", halted, DType::kI32);
  DISPATCH(graph.device(), set_neighbours, graph, indices, neighbours, halted);
}

}  // namespace invp
