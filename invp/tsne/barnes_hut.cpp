// Barnes-Hut sums over a quad-tree (van der Maaten, JMLR 2014). The tree is an array in the order
// in which it is walked: after a cell come its children, and each cell has the index of the cell
// after all of them.
#include <algorithm>
#include <cmath>
#include <numeric>
#include <span>

#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "invp/tsne/repulsion.h"

namespace invp {

namespace {

/// Points still together at this depth share a leaf: f32 coordinates cannot tell them apart any
/// further, unless they are denormal.
constexpr int kDeepest = 60;

struct Cell {
  float x, y;          ///< centre of mass
  float count;         ///< points
  float extent2;       ///< (larger half extent / theta)^2; below 0 for leaves: always taken whole
  std::int32_t next;   ///< the cell after this one and its children
  std::int32_t point;  ///< the only point of a leaf; -1 for all others
};

class Tree {
 public:
  void build(const Points& points, double theta) {
    points_ = &points;
    theta_ = theta;
    order_.resize(static_cast<std::size_t>(points.size()));
    std::iota(order_.begin(), order_.end(), 0);
    cells_.clear();
    const Range x = range_of(points.x);
    const Range y = range_of(points.y);
    split(order_, x.centre, y.centre, x.half, y.half, 0);
  }

  /// Points in the order of the leaves: neighbors take nearly the same path through the tree.
  std::span<const std::int32_t> order() const { return order_; }
  std::span<const Cell> cells() const { return cells_; }

 private:
  struct Range {
    double centre, half;
  };

  static Range range_of(const std::vector<float>& values) {
    const double mean =
        std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
    const auto [low, high] = std::ranges::minmax(values);
    return {mean, std::max(high - mean, mean - low) + 1e-5};
  }

  bool all_equal(std::span<const std::int32_t> members) const {
    return std::ranges::all_of(members, [&](std::int32_t i) {
      return points_->x[i] == points_->x[members[0]] && points_->y[i] == points_->y[members[0]];
    });
  }

  void split(std::span<std::int32_t> members, double cx, double cy, double hx, double hy,
             int depth) {
    const std::size_t self = cells_.size();
    const bool leaf = depth == kDeepest || all_equal(members);
    double x = 0;
    double y = 0;
    for (const std::int32_t i : members) {
      x += points_->x[i];
      y += points_->y[i];
    }
    const auto count = static_cast<double>(members.size());
    const double extent = std::max(hx, hy) / theta_;
    cells_.push_back({.x = static_cast<float>(x / count),
                      .y = static_cast<float>(y / count),
                      .count = static_cast<float>(count),
                      .extent2 = leaf ? -1.0F : static_cast<float>(extent * extent),
                      .next = 0,
                      .point = members.size() == 1 ? members[0] : -1});
    if (!leaf) {
      // Points on a line may fall to either side.
      const auto below = [](const std::vector<float>& values, double line) {
        return [&values, line](std::int32_t i) { return values[i] < line; };
      };
      const auto middle = std::partition(members.begin(), members.end(), below(points_->y, cy));
      for (const bool upper : {false, true}) {
        const std::span half =
            upper ? std::span(middle, members.end()) : std::span(members.begin(), middle);
        const auto centre = std::partition(half.begin(), half.end(), below(points_->x, cx));
        const double y_centre = cy + (upper ? 0.5 : -0.5) * hy;
        if (centre != half.begin()) {
          split({half.begin(), centre}, cx - 0.5 * hx, y_centre, 0.5 * hx, 0.5 * hy, depth + 1);
        }
        if (centre != half.end()) {
          split({centre, half.end()}, cx + 0.5 * hx, y_centre, 0.5 * hx, 0.5 * hy, depth + 1);
        }
      }
    }
    cells_[self].next = static_cast<std::int32_t>(cells_.size());
  }

  const Points* points_ = nullptr;
  double theta_ = 0;
  std::vector<std::int32_t> order_;
  std::vector<Cell> cells_;
};

class BarnesHut : public Repulsion {
 public:
  explicit BarnesHut(double theta) : theta_(theta) {
    CHECK(theta >= 0, "[tsne] theta must not be negative, got ", theta);
  }

  double sum(const Points& points, Points& forces) override {
    tree_.build(points, theta_);
    normalisers_.resize(static_cast<std::size_t>(points.size()));
    constexpr std::int64_t kGrain = 128;
    parallel_for(0, points.size(), kGrain, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        walk(tree_.order()[static_cast<std::size_t>(i)], points, forces);
      }
    });
    return std::accumulate(normalisers_.begin(), normalisers_.end(), 0.0);
  }

 private:
  void walk(std::int32_t point, const Points& points, Points& forces) {
    const float x = points.x[point];
    const float y = points.y[point];
    const std::span<const Cell> cells = tree_.cells();
    const auto end = static_cast<std::int32_t>(cells.size());
    float fx = 0;
    float fy = 0;
    double z = 0;
    for (std::int32_t c = 0; c < end;) {
      const Cell& cell = cells[static_cast<std::size_t>(c)];
      const float dx = x - cell.x;
      const float dy = y - cell.y;
      const float distance2 = dx * dx + dy * dy;
      if (cell.extent2 >= distance2) {
        ++c;  // too near: its children follow
        continue;
      }
      c = cell.next;
      if (cell.point == point) continue;
      const float q = 1 / (1 + distance2);
      const float nq = cell.count * q;
      z += nq;
      fx += nq * q * dx;
      fy += nq * q * dy;
    }
    forces.x[point] = fx;
    forces.y[point] = fy;
    normalisers_[point] = z;
  }

  double theta_;
  Tree tree_;
  std::vector<double> normalisers_;
};

}  // namespace

std::unique_ptr<Repulsion> barnes_hut_repulsion(double theta) {
  return std::make_unique<BarnesHut>(theta);
}

}  // namespace invp
