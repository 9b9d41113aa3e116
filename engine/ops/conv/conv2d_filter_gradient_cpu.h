// The sum that every gradient of filters is: dU[p] = D[p]^T V[p] over many rows (pixels or tiles),
// for each of some points p (taps of the filter, or points of Winograd's transform), where V comes
// from the images and D from the gradient of the outputs. Panels of V and D are made in cache or
// once for all, whichever lets dU stay in cache.
//
// A Problem says what V and D are:
//   rows(), C(), K(), points()
//   d_points(): points(), or 1 if one D serves all points
//   fill(begin, end, first, v, d): rows [begin, end) into panels that start with row `first`
//   finish(block_k, block_c, du): du (points, width of K, width of C), whole, into the filters
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/parallel.h"
#include "engine/ops/conv/conv2d_panels_cpu.h"

namespace invp::cpu {

template <class Problem>
class FilterGradientSum {
 public:
  explicit FilterGradientSum(const Problem& problem) : p_(problem) {}

  void run() const {
    constexpr std::int64_t kFewSums = 36 * 64 * 64;  // floats: dU in the second-level cache
    if (pairs() * pair_size() <= kFewSums) return run_by_rows();
    run_by_filters();
  }

 private:
  std::int64_t width_c() const { return panel_width(p_.C()); }
  std::int64_t width_k() const { return panel_width(p_.K()); }
  std::int64_t blocks_of_c() const { return p_.C() / width_c(); }
  std::int64_t blocks_of_k() const { return p_.K() / width_k(); }
  /// dU is kept by pairs of one panel of filters and one of channels.
  std::int64_t pairs() const { return blocks_of_k() * blocks_of_c(); }
  std::int64_t pair_size() const { return p_.points() * width_k() * width_c(); }
  std::int64_t row_size() const { return p_.points() * p_.C() + p_.d_points() * p_.K(); }

  struct Range {
    std::int64_t begin, end;
  };

  /// V and D of a range of rows.
  struct Rows {
    Panels v, d;
    Rows(const Problem& p, std::int64_t most)
        : v(p.points(), most, p.C()), d(p.d_points(), most, p.K()) {}

    void fill(const Problem& p, std::int64_t first, std::int64_t last) {
      v.set_rows(last - first);
      d.set_rows(last - first);
      parallel_for(first, last, 1,
                   [&](std::int64_t begin, std::int64_t end) { p.fill(begin, end, first, v, d); });
    }
  };

  /// du_of(pair) (+)= the sum over all rows at hand, for panels [k, end_k) of filters and [c,
  /// end_c) of channels. Rows pass by in blocks that stay in cache for all of them.
  template <class Sums>
  void multiply(const Rows& rows, Range k, Range c, bool add, const Sums& du_of) const {
    constexpr std::int64_t kDepth = 128;  // a panel of V of 32 KB stays in L1
    for (std::int64_t point = 0; point < p_.points(); ++point) {
      for (std::int64_t row = 0; row < rows.v.rows(); row += kDepth) {
        const std::int64_t depth = std::min(kDepth, rows.v.rows() - row);
        for (std::int64_t j = c.begin; j < c.end; ++j) {
          const float* const v = rows.v.panel(point, j) + row * width_c();
          for (std::int64_t i = k.begin; i < k.end; ++i) {
            const float* const d =
                rows.d.panel(std::min(point, p_.d_points() - 1), i) + row * width_k();
            float* const du = du_of(i * blocks_of_c() + j) + point * width_k() * width_c();
            multiply_panels(Left::kTransposed, d, width_k(), width_k(), v, depth, du, width_c(),
                            add || row > 0);
          }
        }
      }
    }
  }

  /// Few filters: every thread sums its own rows, in blocks that stay in its cache.
  void run_by_rows() const {
    constexpr std::int64_t kFloats = std::int64_t{1} << 17;
    const std::int64_t block = std::clamp<std::int64_t>(kFloats / row_size(), 16, 128);
    const std::int64_t parts =
        std::min<std::int64_t>(num_threads(), (p_.rows() + block - 1) / block);
    const std::int64_t size = pairs() * pair_size();
    const Tensor sums = workspace(parts * size);
    float* const total = sums.data<float>();
    parallel_for(0, parts, 1, [&](std::int64_t first, std::int64_t last) {
      Rows rows(p_, block);
      for (std::int64_t part = first; part < last; ++part) {
        const std::int64_t begin = p_.rows() * part / parts;
        const std::int64_t end = p_.rows() * (part + 1) / parts;
        for (std::int64_t row = begin; row < end; row += block) {
          rows.fill(p_, row, std::min(row + block, end));
          multiply(rows, {0, blocks_of_k()}, {0, blocks_of_c()}, row > begin,
                   [&](std::int64_t pair) { return total + part * size + pair * pair_size(); });
        }
      }
    });
    parallel_for(0, pairs(), 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t part = 1; part < parts; ++part) {
        for (std::int64_t i = first * pair_size(); i < last * pair_size(); ++i)
          total[i] += total[part * size + i];
      }
      for (std::int64_t pair = first; pair < last; ++pair)
        p_.finish(pair / blocks_of_c(), pair % blocks_of_c(), total + pair * pair_size());
    });
  }

  /// Many filters: V and D are made once for all, every thread sums its own blocks of dU.
  void run_by_filters() const {
    constexpr std::int64_t kFloats = std::int64_t{6} << 20;  // of V and D at once
    const std::int64_t group = std::min(p_.rows(), std::max(kFloats / row_size(), std::int64_t{1}));
    // Panels of filters and of channels in a block: as many as their dU stays in cache for.
    const std::int64_t side = p_.points() == 1 ? 4 : 2;
    const std::int64_t side_c = std::min(side, blocks_of_c());
    const std::int64_t across = (blocks_of_c() + side_c - 1) / side_c;
    const std::int64_t share = (blocks_of_k() * across + num_threads() - 1) / num_threads();
    const std::int64_t side_k = std::min({side, blocks_of_k(), std::max(share, std::int64_t{1})});
    const std::int64_t down = (blocks_of_k() + side_k - 1) / side_k;

    Rows rows(p_, group);
    const bool at_once = group == p_.rows();
    const Tensor sums = at_once ? Tensor() : workspace(pairs() * pair_size());
    for (std::int64_t row = 0; row < p_.rows(); row += group) {
      const std::int64_t end = std::min(row + group, p_.rows());
      rows.fill(p_, row, end);
      parallel_for(0, down * across, 1, [&](std::int64_t first, std::int64_t last) {
        const Tensor own = at_once ? workspace(side_k * side_c * pair_size()) : Tensor();
        for (std::int64_t block = first; block < last; ++block) {
          const Range k = range(block / across, side_k, blocks_of_k());
          const Range c = range(block % across, side_c, blocks_of_c());
          const auto du_of = [&](std::int64_t pair) {
            if (!at_once) return sums.data<float>() + pair * pair_size();
            const std::int64_t i = pair / blocks_of_c() - k.begin;
            const std::int64_t j = pair % blocks_of_c() - c.begin;
            return own.data<float>() + (i * side_c + j) * pair_size();
          };
          multiply(rows, k, c, row > 0, du_of);
          if (end < p_.rows()) continue;
          for (std::int64_t i = k.begin; i < k.end; ++i) {
            for (std::int64_t j = c.begin; j < c.end; ++j)
              p_.finish(i, j, du_of(i * blocks_of_c() + j));
          }
        }
      });
    }
  }

  static Range range(std::int64_t index, std::int64_t size, std::int64_t end) {
    return {index * size, std::min((index + 1) * size, end)};
  }

  const Problem& p_;
};

}  // namespace invp::cpu
