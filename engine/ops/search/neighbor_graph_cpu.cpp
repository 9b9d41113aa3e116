#include <algorithm>
#include <span>
#include <unordered_set>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/core/rows.h"
#include "engine/ops/search/neighbor_graph.h"

namespace invp::cpu {

namespace {

using Row = std::int32_t;

/// Walks level by level, writing each row that `enter` admits; what was written last is where the
/// next level starts.
template <class Enter>
void walk(const Tensor& graph, Row start, int steps, const Enter& enter, std::span<Row> reached) {
  std::size_t count = 0;
  const auto visit = [&](Row from) {
    for (const Row next : row_of<Row>(graph, from)) {
      if (next >= 0 && enter(next)) reached[count++] = next;
    }
  };
  visit(start);
  std::size_t level_begin = 0;
  for (int step = 1; step < steps; ++step) {
    const std::size_t level_end = count;
    for (std::size_t i = level_begin; i < level_end; ++i) visit(reached[i]);
    level_begin = level_end;
  }
  std::fill(reached.begin() + static_cast<std::ptrdiff_t>(count), reached.end(), -1);
}

}  // namespace

void propagate(const Tensor& graph, const Tensor& indices, int steps, Propagation propagation,
               const Tensor& positives) {
  parallel_for(0, indices.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    std::unordered_set<Row> seen;
    for (std::int64_t i = begin; i < end; ++i) {
      const Row start = indices.data<Row>()[i];
      seen = {start};
      const auto once = [&seen](Row row) { return seen.insert(row).second; };
      const auto always = [](Row) { return true; };
      if (propagation == Propagation::kDistinct) {
        walk(graph, start, steps, once, row_of<Row>(positives, i));
      } else {
        walk(graph, start, steps, always, row_of<Row>(positives, i));
      }
    }
  });
}

void choose_positives(const Tensor& positives, const Tensor& similarities, PositiveChoice choice,
                      const Tensor& chosen) {
  parallel_for(0, positives.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    std::vector<std::size_t> order;
    for (std::int64_t i = begin; i < end; ++i) {
      const std::span<const Row> rows = row_of<Row>(positives, i);
      const std::span<const float> similarity = row_of<float>(similarities, i);
      const std::span<Row> out = row_of<Row>(chosen, i);
      order.clear();
      for (std::size_t w = 0; w < rows.size(); ++w) {
        if (rows[w] >= 0) order.push_back(w);
      }
      if (choice != PositiveChoice::kAll && order.size() > out.size()) {
        const float sign = choice == PositiveChoice::kLeastSimilar ? 1.0F : -1.0F;
        const auto last = order.begin() + static_cast<std::ptrdiff_t>(out.size());
        std::nth_element(order.begin(), last, order.end(), [&](std::size_t a, std::size_t b) {
          const float left = sign * similarity[a];
          const float right = sign * similarity[b];
          return left != right ? left < right : a < b;
        });
        order.erase(last, order.end());
        std::ranges::sort(order);
      }
      const auto end_of_rows =
          std::ranges::transform(order, out.begin(), [&](std::size_t w) { return rows[w]; }).out;
      std::fill(end_of_rows, out.end(), -1);
    }
  });
}

void nearest_neighbors(const Tensor& rows, const Tensor& similarities, const Tensor& indices,
                       bool replace_in_place, const Tensor& neighbors) {
  const auto wanted = static_cast<std::size_t>(neighbors.dim(1) + 1);
  parallel_for(0, rows.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) {
      const std::span<const Row> row = row_of<Row>(rows, i);
      const std::span<const float> similarity = row_of<float>(similarities, i);
      std::vector<std::size_t> best(std::min(wanted, row.size()));
      std::vector<std::size_t> all(row.size());
      for (std::size_t w = 0; w < all.size(); ++w) all[w] = w;
      std::ranges::partial_sort_copy(all, best, [&](std::size_t a, std::size_t b) {
        return similarity[a] != similarity[b] ? similarity[a] > similarity[b] : row[a] < row[b];
      });
      std::vector<Row> nearest;
      for (const std::size_t w : best) nearest.push_back(row[w]);

      const Row self = indices.data<Row>()[i];
      const auto found = std::ranges::find(nearest, self);
      if (found != nearest.end() && replace_in_place) {
        *found = nearest.back();
        nearest.pop_back();
      } else if (found != nearest.end()) {
        nearest.erase(found);
      }
      nearest.resize(wanted - 1, -1);
      std::ranges::copy(nearest, row_of<Row>(neighbors, i).begin());
    }
  });
}

void set_neighbors(const Tensor& graph, const Tensor& indices, const Tensor& neighbors,
                   const Tensor& halted) {
  if (halted.defined() && *halted.data<std::int32_t>() != 0) return;
  for (std::int64_t i = 0; i < indices.dim(0); ++i) {
    std::ranges::copy(row_of<Row>(neighbors, i),
                      row_of<Row>(graph, indices.data<Row>()[i]).begin());
  }
}

}  // namespace invp::cpu
