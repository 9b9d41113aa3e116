// All pairs: four points in registers against a vector of others (sixteen with AVX-512) at a time.
#include <array>

#include "engine/core/parallel.h"
#include "invp/tsne/repulsion.h"

namespace invp {

namespace {

using cpu::kVec;
using cpu::Vec;

/// Points whose sums stay in registers together.
constexpr int kGroup = 4;
/// Points per block: they stay in the first-level cache, and the sums go to double after each
/// block.
constexpr std::int64_t kBlock = 2048;
/// Coordinate of the points that fill up the last vector: too far away to count.
constexpr float kFar = 1e18F;

struct Sums {
  double x = 0, y = 0, z = 0;
};

class AllPairs : public Repulsion {
 public:
  double sum(const Points& points, Points& forces) override {
    pad(points);
    const std::int64_t n = points.size();
    normalisers_.resize(static_cast<std::size_t>(n));
    constexpr std::int64_t kGrain = 64;
    parallel_for(0, (n + kGroup - 1) / kGroup, kGrain / kGroup,
                 [&](std::int64_t begin, std::int64_t end) {
                   for (std::int64_t g = begin; g < end; ++g) group(g * kGroup, n, forces);
                 });
    double total = 0;
    for (const double z : normalisers_) total += z;
    return total;
  }

 private:
  void pad(const Points& points) {
    const auto size = static_cast<std::size_t>((points.size() + kVec - 1) / kVec * kVec);
    padded_.x.assign(size, kFar);
    padded_.y.assign(size, kFar);
    std::ranges::copy(points.x, padded_.x.begin());
    std::ranges::copy(points.y, padded_.y.begin());
  }

  /// The sums of points [first, first + kGroup), as far as they are below n.
  void group(std::int64_t first, std::int64_t n, Points& forces) {
    std::array<Sums, kGroup> sums{};
    const std::int64_t size = padded_.size();
    for (std::int64_t block = 0; block < size; block += kBlock) {
      add_block(first, block, std::min(block + kBlock, size), sums);
    }
    for (std::int64_t i = first; i < std::min(first + kGroup, n); ++i) {
      const Sums& own = sums[static_cast<std::size_t>(i - first)];
      forces.x[static_cast<std::size_t>(i)] = static_cast<float>(own.x);
      forces.y[static_cast<std::size_t>(i)] = static_cast<float>(own.y);
      normalisers_[static_cast<std::size_t>(i)] = own.z - 1;  // without q_ii
    }
  }

  void add_block(std::int64_t first, std::int64_t begin, std::int64_t end,
                 std::array<Sums, kGroup>& sums) const {
    const float* x = padded_.x.data();
    const float* y = padded_.y.data();
    // Padding is at least as long as a group, since kVec is a multiple of it.
    static_assert(kVec % kGroup == 0);
    Vec fx[kGroup] = {};
    Vec fy[kGroup] = {};
    Vec z[kGroup] = {};
    for (std::int64_t j = begin; j < end; j += kVec) {
      const Vec xj = cpu::load(x + j);
      const Vec yj = cpu::load(y + j);
#pragma GCC unroll 4
      for (int i = 0; i < kGroup; ++i) {
        const Vec dx = x[first + i] - xj;
        const Vec dy = y[first + i] - yj;
        const Vec q = reciprocal(dx * dx + (dy * dy + 1.0f));
        const Vec q2 = q * q;
        z[i] += q;
        fx[i] += q2 * dx;
        fy[i] += q2 * dy;
      }
    }
    for (int i = 0; i < kGroup; ++i) {
      Sums& own = sums[static_cast<std::size_t>(i)];
      own.x += sum_of(fx[i]);
      own.y += sum_of(fy[i]);
      own.z += sum_of(z[i]);
    }
  }

  Points padded_;
  std::vector<double> normalisers_;
};

}  // namespace

std::unique_ptr<Repulsion> all_pairs_repulsion() {
  return std::make_unique<AllPairs>();
}

double all_pairs_normaliser(const Points& points) {
  Points forces(points.size());
  return AllPairs().sum(points, forces);
}

}  // namespace invp
