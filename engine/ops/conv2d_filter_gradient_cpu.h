// The sum behind every gradient of filters: dU[p] = D[p]^T V[p] over many rows (pixels or tiles),
// for each of some points p (taps of the filter, or points of Winograd's transform), where V comes
// from the images and D from the gradient of the outputs. Panels of V and D are made in cache or
// once for all, whichever lets dU stay in cache.
//
// A Problem says what V and D are:
//   rows(), C(), K(), points()
//   d_points(): as many as points(), or one that serves all
//   fill(begin, end, first, v, d): rows [begin, end) into panels that start with row `first`
//   finish(block_k, block_c, du): du (points, width of K, width of C), whole, into the filters
#pragma once

#include <algorithm>
#include <cstdint>

#include "engine/core/parallel.h"
#include "engine/ops/conv2d_panels_cpu.h"

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
  /// dU is kept by pairs of one panel of filters and one of channels.
  std::int64_t pairs() const { return p_.K() / width_k() * blocks_of_c(); }
  std::int64_t pair_size() const { return p_.points() * width_k() * width_c(); }
  std::int64_t row_size() const { return p_.points() * p_.C() + p_.d_points() * p_.K(); }

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

  /// du (+)= the sum over all rows at hand.
  void multiply(const Rows& rows, std::int64_t pair, bool add, float* du) const {
    constexpr std::int64_t kDepth = 128;  // rows a pass: a panel of V of 32 KB stays in L1
    for (std::int64_t point = 0; point < p_.points(); ++point) {
      const float* const d = rows.d.panel(std::min(point, p_.d_points() - 1), pair / blocks_of_c());
      const float* const v = rows.v.panel(point, pair % blocks_of_c());
      for (std::int64_t i = 0; i < rows.v.rows(); i += kDepth) {
        multiply_panels(Left::kTransposed, d + i * width_k(), width_k(), width_k(),
                        v + i * width_c(), std::min(kDepth, rows.v.rows() - i),
                        du + point * width_k() * width_c(), width_c(), add || i > 0);
      }
    }
  }

  void finish(std::int64_t pair, const float* du) const {
    p_.finish(pair / blocks_of_c(), pair % blocks_of_c(), du);
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
          for (std::int64_t pair = 0; pair < pairs(); ++pair)
            multiply(rows, pair, row > begin, total + part * size + pair * pair_size());
        }
      }
    });
    parallel_for(0, pairs(), 1, [&](std::int64_t first, std::int64_t last) {
      for (std::int64_t part = 1; part < parts; ++part) {
        for (std::int64_t i = first * pair_size(); i < last * pair_size(); ++i)
          total[i] += total[part * size + i];
      }
      for (std::int64_t pair = first; pair < last; ++pair) finish(pair, total + pair * pair_size());
    });
  }

  /// Many filters: V and D are made once for all, every thread sums its own pairs of panels.
  void run_by_filters() const {
    constexpr std::int64_t kFloats = std::int64_t{6} << 20;  // of V and D at once
    const std::int64_t group = std::min(p_.rows(), std::max(kFloats / row_size(), std::int64_t{1}));
    const bool at_once = group == p_.rows();
    Rows rows(p_, group);
    const Tensor sums = at_once ? Tensor() : workspace(pairs() * pair_size());
    for (std::int64_t row = 0; row < p_.rows(); row += group) {
      const std::int64_t end = std::min(row + group, p_.rows());
      rows.fill(p_, row, end);
      parallel_for(0, pairs(), 1, [&](std::int64_t first, std::int64_t last) {
        const Tensor own = at_once ? workspace(pair_size()) : Tensor();
        for (std::int64_t pair = first; pair < last; ++pair) {
          float* const du = at_once ? own.data<float>() : sums.data<float>() + pair * pair_size();
          multiply(rows, pair, row > 0, du);
          if (end == p_.rows()) finish(pair, du);
        }
      });
    }
  }

  const Problem& p_;
};

}  // namespace invp::cpu
