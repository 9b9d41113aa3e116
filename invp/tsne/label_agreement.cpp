// Compares every point of the map with every other: exact, and fast enough, since most blocks hold
// no near point and are skipped.
#include <algorithm>
#include <array>
#include <limits>

#include "engine/core/parallel.h"
#include "invp/tsne/tsne.h"

namespace invp {

namespace {

constexpr std::int64_t kMostQueries = 20'000;
constexpr std::int64_t kBlock = 128;

struct Neighbor {
  float distance2;
  std::int64_t row;
  bool operator<(const Neighbor& other) const {
    return distance2 != other.distance2 ? distance2 < other.distance2 : row < other.row;
  }
};

/// The k points nearest to the query, without itself; of equally near ones the first.
void nearest_points(const Points& points, std::int64_t query, std::int64_t k,
                    std::vector<Neighbor>& heap) {
  const std::int64_t n = points.size();
  const float x = points.x[static_cast<std::size_t>(query)];
  const float y = points.y[static_cast<std::size_t>(query)];
  heap.clear();
  float furthest = std::numeric_limits<float>::infinity();
  std::array<float, kBlock> distances;
  for (std::int64_t begin = 0; begin < n; begin += kBlock) {
    const std::int64_t count = std::min(kBlock, n - begin);
    const float* xs = points.x.data() + begin;
    const float* ys = points.y.data() + begin;
    float least = std::numeric_limits<float>::infinity();
#pragma omp simd reduction(min : least)
    for (std::int64_t j = 0; j < count; ++j) {
      const float dx = x - xs[j];
      const float dy = y - ys[j];
      const float distance2 = dx * dx + dy * dy;
      distances[static_cast<std::size_t>(j)] = distance2;
      least = std::min(least, distance2);
    }
    if (least >= furthest) continue;
    for (std::int64_t j = 0; j < count; ++j) {
      const Neighbor found{distances[static_cast<std::size_t>(j)], begin + j};
      if (found.row == query || found.distance2 >= furthest) continue;
      if (std::ssize(heap) == k) {
        std::ranges::pop_heap(heap, std::less<>());
        heap.pop_back();
      }
      heap.push_back(found);
      std::ranges::push_heap(heap, std::less<>());
      if (std::ssize(heap) == k) furthest = heap.front().distance2;
    }
  }
}

}  // namespace

double label_agreement(const Tensor& points, std::span<const std::int64_t> labels, std::int64_t k) {
  CHECK(points.rank() == 2 && points.dim(1) == 2 && points.dim(0) == std::ssize(labels), "[tsne] ",
        labels.size(), " labels for points ", points.shape());
  const std::int64_t n = points.dim(0);
  CHECK(k >= 1 && k < n, "[tsne] ", n, " points have no ", k, " neighbors each");
  Points plane(n);
  for (std::int64_t i = 0; i < n; ++i) {
    plane.x[static_cast<std::size_t>(i)] = points.data<float>()[2 * i];
    plane.y[static_cast<std::size_t>(i)] = points.data<float>()[2 * i + 1];
  }
  const std::int64_t queries = std::min(n, kMostQueries);
  std::vector<std::int64_t> agreeing(static_cast<std::size_t>(queries));
  parallel_for(0, queries, 64, [&](std::int64_t begin, std::int64_t end) {
    std::vector<Neighbor> heap;
    for (std::int64_t q = begin; q < end; ++q) {
      const std::int64_t point = q * n / queries;
      nearest_points(plane, point, k, heap);
      agreeing[static_cast<std::size_t>(q)] =
          std::ranges::count_if(heap, [&](const Neighbor& neighbor) {
            return labels[static_cast<std::size_t>(neighbor.row)] ==
                   labels[static_cast<std::size_t>(point)];
          });
    }
  });
  double total = 0;
  for (const std::int64_t count : agreeing) total += static_cast<double>(count);
  return total / static_cast<double>(queries * k);
}

}  // namespace invp
