#include "engine/core/parallel.h"
#include "engine/ops/detection/box_elements.h"
#include "engine/ops/detection/nms.h"
#include "engine/ops/detection/score_order_cpu.h"

namespace invp::cpu {

namespace {

/// The candidates of a picture in their order, each coordinate by itself, so that a box meets many
/// others at once.
class Candidates {
 public:
  Candidates(const Box* boxes, const std::int32_t* groups, const std::vector<std::int32_t>& order)
      : size_(order.size()), dead_(size_, 0), groups_(size_, 0) {
    for (std::vector<float>& side : sides_) side.reserve(size_);
    for (std::size_t i = 0; i < size_; ++i) {
      const Box& box = boxes[order[i]];
      const std::array corners{box.x0, box.y0, box.x1, box.y1};
      for (std::size_t side = 0; side < 4; ++side) sides_[side].push_back(corners[side]);
      if (groups != nullptr) groups_[i] = groups[order[i]];
    }
  }

  std::size_t size() const { return size_; }
  bool is_dead(std::size_t i) const { return dead_[i] != 0; }

  /// Candidate i kills what comes after it and overlaps it by more than `limit`. Compilers
  /// vectorise the loop, but not under omp simd, which keeps each box in memory.
  void keep(std::size_t i, float limit) {
    const Box own = box(i);
    const std::int32_t group = groups_[i];
    const float* const x0 = sides_[0].data();
    const float* const y0 = sides_[1].data();
    const float* const x1 = sides_[2].data();
    const float* const y1 = sides_[3].data();
    const std::int32_t* const groups = groups_.data();
    std::int32_t* const dead = dead_.data();
    for (std::size_t j = i + 1; j < size_; ++j) {
      // NaN is not above the limit, as 0 is not.
      const int overlaps = shared_part(own, {x0[j], y0[j], x1[j], y1[j]}) > limit ? 1 : 0;
      const int same = groups[j] == group ? 1 : 0;
      dead[j] |= overlaps & same;
    }
  }

 private:
  Box box(std::size_t i) const { return {sides_[0][i], sides_[1][i], sides_[2][i], sides_[3][i]}; }

  std::size_t size_;
  std::array<std::vector<float>, 4> sides_;
  std::vector<std::int32_t> dead_;
  std::vector<std::int32_t> groups_;
};

/// Writes the kept rows and returns how many there are.
std::int32_t suppress(const Box* boxes, const std::int32_t* groups,
                      const std::vector<std::int32_t>& order, float limit, std::int64_t most,
                      std::int32_t* rows) {
  Candidates candidates(boxes, groups, order);
  std::int32_t count = 0;
  for (std::size_t i = 0; i < candidates.size() && count < most; ++i) {
    if (candidates.is_dead(i)) continue;
    rows[count++] = order[i];
    candidates.keep(i, limit);
  }
  std::fill(rows + count, rows + most, -1);
  return count;
}

}  // namespace

void nms(const Tensor& boxes, const Tensor& scores, const Tensor& groups, float limit,
         const Kept& kept) {
  const std::int64_t n = boxes.dim(1);
  const std::int64_t most = kept.rows.dim(1);
  const std::int32_t* const of_group = groups.defined() ? groups.data<std::int32_t>() : nullptr;
  parallel_for(0, boxes.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t picture = begin; picture < end; ++picture) {
      const std::int64_t first = picture * n;
      kept.counts.data<std::int32_t>()[picture] =
          suppress(boxes_of(boxes) + first, of_group != nullptr ? of_group + first : nullptr,
                   in_order(scores.data<float>() + first, n, n), limit, most,
                   kept.rows.data<std::int32_t>() + picture * most);
    }
  });
}

}  // namespace invp::cpu
