// Repulsion as a convolution on a grid (Linderman et al., Nature Methods 2019, with the quintic
// B-splines of particle-mesh Ewald in place of Lagrange polynomials: smoother, so that nodes may
// lie further apart). The sums need three kernels of the offset d between two points,
//   K_Z = 1 / (1 + |d|^2),   K_x = d_x / (1 + |d|^2)^2,   K_y = d_y / (1 + |d|^2)^2.
// Each is replaced by the spline that goes through its values at the nodes, which turns the sums
// over pairs into: spread the points over nodes, convolve, read. In frequencies the spline costs a
// division by the square of B's transform. Z needs no inverse transform (Parseval), and as K_x
// and K_y are real, one complex transform gives both forces: with W the transform of the spread
// points,
//   F = W (K_x + i K_y).
#include <algorithm>
#include <array>
#include <cmath>
#include <numbers>
#include <numeric>
#include <tuple>

#include "engine/core/parallel.h"
#include "invp/tsne/fft.h"
#include "invp/tsne/repulsion.h"

namespace invp {

namespace {

using cpu::kVec;
using cpu::load;
using cpu::store;
using cpu::Vec;

/// Distance between nodes, where the kernels change over a distance of 1.
constexpr double kSpacing = 0.5;
/// Fewest nodes across the map, for when it is still small, and most, for when points are far out.
constexpr double kFewestNodes = 48;
constexpr double kMostNodes = 1200;
/// Nodes per axis that a point is spread over.
constexpr int kSupport = 6;
/// How many of them come before the node at the point's left.
constexpr int kBefore = kSupport / 2 - 1;
/// Nodes around the map, for the points at its border.
constexpr std::int64_t kBorder = 8;
/// Offsets that no two points have. The kernels jump there, and the spline oscillates near a jump.
constexpr std::int64_t kGuard = 32;

struct Stencil {
  std::int32_t x, y;  ///< the first of its nodes
  std::int32_t point;
  std::array<float, kSupport> wx, wy;
};

/// The B-spline's values at the nodes around a point that lies `t` of a spacing past one of them,
/// by raising the degree step by step.
std::array<float, kSupport> spline_weights(float t) {
  std::array<float, kSupport> w{1 - t, t};
  for (int order = 3; order <= kSupport; ++order) {
    const float scale = 1.0F / static_cast<float>(order - 1);
    const auto last = static_cast<std::size_t>(order - 1);
    w[last] = scale * t * w[last - 1];
    for (std::size_t j = 1; j < last; ++j) {
      const auto step = static_cast<float>(j);
      w[last - j] = scale * ((t + step) * w[last - j - 1] +
                             (static_cast<float>(order) - step - t) * w[last - j]);
    }
    w[0] *= scale * (1 - t);
  }
  return w;
}

class Grid : public Repulsion {
 public:
  double sum(const Points& points, Points& forces) override {
    fit(points);
    make_stencils(points);
    spread();
    transform_columns(fft_, grid_, nodes_, nodes_, false);
    const double z = convolve() - static_cast<double>(points.size());  // without the q_ii
    transform_columns(fft_, grid_, side(), nodes_, true);
    read(forces);
    return z;
  }

 private:
  std::int64_t side() const { return fft_.length(); }

  /// Chooses spacing and size of the grid by the extent of the points. Those of the last call are
  /// kept while they fit, so that the kernels need not be transformed again.
  void fit(const Points& points) {
    const auto [left, right] = std::ranges::minmax(points.x);
    const auto [bottom, top] = std::ranges::minmax(points.y);
    const double span =
        std::max({static_cast<double>(right) - left, static_cast<double>(top) - bottom, 1e-30});
    const double ideal =
        std::max(std::min(kSpacing, span / kFewestNodes), span / kMostNodes) / kSpacing;
    // Steps of a factor of sqrt(2), so that a growing map keeps its spacing for a while.
    const double steps = 2 * std::log2(ideal);
    const double spacing =
        kSpacing * std::exp2((steps < 0 ? std::floor(steps) : std::ceil(steps)) / 2);
    const auto wanted = static_cast<std::int64_t>(std::ceil(span / spacing)) + 2 * kBorder;
    if (spacing != spacing_ || wanted > nodes_ || 2 * wanted < nodes_) {
      spacing_ = spacing;
      constexpr double kHeadroom = 1.1;  // maps grow
      const auto roomy = static_cast<std::int64_t>(kHeadroom * static_cast<double>(wanted));
      fft_ = Fft(Fft::good_length(2 * (roomy + kVec) + kGuard));
      nodes_ = (side() - kGuard) / 2 / kVec * kVec;
      grid_.resize(side());
      make_kernels();
    }
    const double middle = static_cast<double>(nodes_) / 2;
    x_start_ = (static_cast<double>(left) + right) / 2 - middle * spacing_;
    y_start_ = (static_cast<double>(bottom) + top) / 2 - middle * spacing_;
  }

  /// The transforms of the kernels, divided by those of the splines and by the number of nodes.
  void make_kernels() {
    const std::int64_t m = side();
    const auto offset = [&](std::int64_t i) {
      return static_cast<double>(i <= m / 2 ? i : i - m) * spacing_;
    };
    const auto half = static_cast<std::size_t>((m / 2 + 1) * m);
    z_.resize(half);
    x_.resize(half);
    y_.resize(half);
    std::vector<double> spline(static_cast<std::size_t>(m));
    for (std::int64_t k = 0; k < m; ++k) {
      const double angle = 2 * std::numbers::pi * static_cast<double>(k) / static_cast<double>(m);
      const double transform = (33 + 26 * std::cos(angle) + std::cos(2 * angle)) / 60;
      spline[static_cast<std::size_t>(k)] = transform * transform * static_cast<double>(m);
    }
    const auto fill = [&](auto&& value) {
      parallel_for(0, m, 16, [&](std::int64_t begin, std::int64_t end) {
        for (std::int64_t i = begin * m; i < end * m; ++i) {
          const double dx = offset(i % m);
          const double dy = offset(i / m);
          const auto at = static_cast<std::size_t>(i);
          // Half-way around, an offset is positive and negative at once, so an odd kernel is zero.
          std::tie(grid_.re[at], grid_.im[at]) =
              value(i % m == m / 2 ? 0 : dx, i / m == m / 2 ? 0 : dy, 1 / (1 + dx * dx + dy * dy));
        }
      });
      transform_columns(fft_, grid_, m, m, false);
      transform_rows(fft_, grid_);
    };
    const auto keep = [&](const std::vector<float>& from, std::vector<float>& to) {
      for (std::size_t i = 0; i < half; ++i) {
        const auto at = static_cast<std::int64_t>(i);
        to[i] = static_cast<float>(from[i] / (spline[static_cast<std::size_t>(at / m)] *
                                              spline[static_cast<std::size_t>(at % m)]));
      }
    };
    fill([](double, double, double q) { return std::pair(static_cast<float>(q), 0.0F); });
    keep(grid_.re, z_);
    // K_x and K_y are odd: their transforms are imaginary, those of K_x + i K_y are -(y) + i x.
    fill([](double dx, double dy, double q) {
      return std::pair(static_cast<float>(q * q * dx), static_cast<float>(q * q * dy));
    });
    keep(grid_.re, y_);
    keep(grid_.im, x_);
  }

  /// Sorted by row, so that the points of each row of the grid are next to each other.
  void make_stencils(const Points& points) {
    const std::int64_t n = points.size();
    first_.assign(static_cast<std::size_t>(nodes_ + 1), 0);
    row_.resize(static_cast<std::size_t>(n));
    const double scale = 1 / spacing_;
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      row_[at] = static_cast<std::int32_t>((points.y[at] - y_start_) * scale) - kBefore;
      ++first_[static_cast<std::size_t>(row_[at] + 1)];
    }
    std::partial_sum(first_.begin(), first_.end(), first_.begin());
    order_.resize(static_cast<std::size_t>(n));
    std::vector<std::int32_t> next(first_.begin(), first_.end() - 1);
    for (std::int64_t i = 0; i < n; ++i) {
      const auto at = static_cast<std::size_t>(i);
      order_[static_cast<std::size_t>(next[static_cast<std::size_t>(row_[at])]++)] =
          static_cast<std::int32_t>(i);
    }
    stencils_.resize(static_cast<std::size_t>(n));
    parallel_for(0, n, 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const std::int32_t point = order_[static_cast<std::size_t>(i)];
        const double x = (points.x[point] - x_start_) * scale;
        const double y = (points.y[point] - y_start_) * scale;
        const auto left = static_cast<std::int32_t>(x);
        const auto bottom = static_cast<std::int32_t>(y);
        stencils_[static_cast<std::size_t>(i)] = {
            .x = left - kBefore,
            .y = bottom - kBefore,
            .point = point,
            .wx = spline_weights(static_cast<float>(x - left)),
            .wy = spline_weights(static_cast<float>(y - bottom))};
      }
    });
  }

  /// Each row of the grid gathers from the points whose nodes it holds, always in the same order:
  /// no two threads write to one node.
  void spread() {
    parallel_for(0, nodes_, 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t row = begin; row < end; ++row) {
        float* re = grid_.re.data() + row * side();
        std::fill_n(re, nodes_, 0.0F);
        std::fill_n(grid_.im.data() + row * side(), nodes_, 0.0F);
        const std::int64_t lowest = std::max<std::int64_t>(0, row - kSupport + 1);
        for (std::int64_t i = first_[static_cast<std::size_t>(lowest)];
             i < first_[static_cast<std::size_t>(row + 1)]; ++i) {
          const Stencil& stencil = stencils_[static_cast<std::size_t>(i)];
          const float weight = stencil.wy[static_cast<std::size_t>(row - stencil.y)];
          for (int k = 0; k < kSupport; ++k) {
            re[stencil.x + k] += weight * stencil.wx[static_cast<std::size_t>(k)];
          }
        }
      }
    });
  }

  /// The second half of the forward transform, the product with the kernels and the first half of
  /// the inverse, for kVec rows at a time. The points' weights are real, so row -k of their
  /// transform is known from row k. Returns Z with the pairs (i, i).
  double convolve() {
    const std::int64_t m = side();
    const std::int64_t half = m / 2 + 1;
    normalisers_.assign(static_cast<std::size_t>(half), 0);
    parallel_for(0, (half + kVec - 1) / kVec, 1, [&](std::int64_t begin, std::int64_t end) {
      const auto size = static_cast<std::size_t>(m * kVec);
      std::array<std::vector<float>, 7> lines;
      for (std::vector<float>& line : lines) line.resize(size);
      for (std::int64_t block = begin; block < end; ++block) convolve_rows(block * kVec, lines);
    });
    return std::accumulate(normalisers_.begin(), normalisers_.end(), 0.0);
  }

  void convolve_rows(std::int64_t first, std::array<std::vector<float>, 7>& lines) {
    const std::int64_t m = side();
    const std::int64_t half = m / 2 + 1;
    std::array<std::int64_t, kVec> rows;
    std::array<std::int64_t, kVec> mirrored;
    for (int l = 0; l < kVec; ++l) {
      // Lines past the end repeat the last row and write the same values again.
      const std::int64_t row = std::min(first + l, half - 1);
      rows[static_cast<std::size_t>(l)] = row;
      mirrored[static_cast<std::size_t>(l)] = (m - row) % m;
    }
    auto& [re, im, kx, ky, kz, mirror_re, mirror_im] = lines;
    load_lines(grid_.re.data(), m, rows.data(), nodes_, re.data());
    load_lines(grid_.im.data(), m, rows.data(), nodes_, im.data());
    load_lines(x_.data(), m, rows.data(), m, kx.data());
    load_lines(y_.data(), m, rows.data(), m, ky.data());
    load_lines(z_.data(), m, rows.data(), m, kz.data());
    // The columns beyond hold no points.
    std::fill(re.begin() + nodes_ * kVec, re.end(), 0.0F);
    std::fill(im.begin() + nodes_ * kVec, im.end(), 0.0F);
    fft_.lines(re.data(), im.data());
    std::array<double, kVec> z{};
    for (std::int64_t k = 0; k < m; ++k) {
      const std::int64_t at = k * kVec;
      const std::int64_t opposite = (m - k) % m * kVec;
      const Vec a = load(re.data() + at);
      const Vec b = load(im.data() + at);
      const Vec x = load(kx.data() + at);
      const Vec y = load(ky.data() + at);
      const Vec energy = (a * a + b * b) * load(kz.data() + at);
      for (int l = 0; l < kVec; ++l) z[static_cast<std::size_t>(l)] += energy[l];
      // W (y + i x) here; conj(W) times minus that at the opposite frequency.
      store(re.data() + at, a * y - b * x);
      store(im.data() + at, a * x + b * y);
      store(mirror_re.data() + opposite, -(a * y + b * x));
      store(mirror_im.data() + opposite, b * y - a * x);
    }
    for (int l = 0; l < kVec && first + l < half; ++l) {
      const std::int64_t row = first + l;
      const bool own_mirror = row == 0 || row == m / 2;
      normalisers_[static_cast<std::size_t>(row)] =
          (own_mirror ? 1 : 2) * z[static_cast<std::size_t>(l)];
    }
    fft_.lines(im.data(), re.data());
    fft_.lines(mirror_im.data(), mirror_re.data());
    store_lines(grid_.re.data(), m, mirrored.data(), nodes_, mirror_re.data());
    store_lines(grid_.im.data(), m, mirrored.data(), nodes_, mirror_im.data());
    store_lines(grid_.re.data(), m, rows.data(), nodes_, re.data());
    store_lines(grid_.im.data(), m, rows.data(), nodes_, im.data());
  }

  void read(Points& forces) const {
    parallel_for(0, std::ssize(stencils_), 1024, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const Stencil& stencil = stencils_[static_cast<std::size_t>(i)];
        float x = 0;
        float y = 0;
        for (int r = 0; r < kSupport; ++r) {
          const std::int64_t at = (stencil.y + r) * side() + stencil.x;
          float row_x = 0;
          float row_y = 0;
          for (int c = 0; c < kSupport; ++c) {
            const float weight = stencil.wx[static_cast<std::size_t>(c)];
            row_x += weight * grid_.re[static_cast<std::size_t>(at + c)];
            row_y += weight * grid_.im[static_cast<std::size_t>(at + c)];
          }
          x += stencil.wy[static_cast<std::size_t>(r)] * row_x;
          y += stencil.wy[static_cast<std::size_t>(r)] * row_y;
        }
        forces.x[stencil.point] = x;
        forces.y[stencil.point] = y;
      }
    });
  }

  double spacing_ = 0;
  std::int64_t nodes_ = 0;  ///< a side of the part of the square that holds points
  double x_start_ = 0, y_start_ = 0;
  Fft fft_{1};
  ComplexSquare grid_;
  std::vector<float> x_, y_, z_;  ///< kernels: rows 0 to side / 2 of their transforms
  std::vector<std::int32_t> row_, order_, first_;
  std::vector<Stencil> stencils_;
  std::vector<double> normalisers_;
};

}  // namespace

std::unique_ptr<Repulsion> grid_repulsion() {
  return std::make_unique<Grid>();
}

}  // namespace invp
