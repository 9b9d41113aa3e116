// Apart from the sums, which fuse multiplications and additions: where a sample lies decides
// whether it counts, so its place is rounded as the reference rounds it.
#include "engine/core/parallel.h"
#include "engine/ops/detection/roi_plan.h"

namespace invp::cpu {

void fill_roi_plan(const RoiPlan& plan) {
  constexpr std::int64_t kGrain = 64;
  parallel_for(0, plan.count * plan.bins(), kGrain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i) plan.fill(i);
  });
}

}  // namespace invp::cpu
