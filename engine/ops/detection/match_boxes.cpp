#include "engine/ops/detection/match_boxes.h"

#include "engine/ops/detection/box_checks.h"
#include "engine/ops/detection/box_elements.h"
#include "engine/ops/detection/match_problem.h"

namespace invp {

Matches match_boxes(const Tensor& objects, const Tensor& counts, const Tensor& boxes,
                    const Tensor& box_counts, const MatchParams& params) {
  constexpr const char* kOp = "match_boxes";
  check_lists_of_boxes(kOp, objects);
  const std::int64_t pictures = objects.dim(0);
  check_part(kOp, "counts", counts, {pictures}, DType::kI32, objects);
  if (boxes.rank() == 2) {
    check_boxes(kOp, "boxes", boxes);
  } else {
    check_lists_of_boxes(kOp, boxes);
    CHECK(boxes.dim(0) == pictures, "[match_boxes] objects of ", pictures, " pictures, boxes of ",
          boxes.dim(0));
  }
  check_same_device(kOp, objects, "boxes", boxes);
  if (box_counts.defined()) {
    check_part(kOp, "box_counts", box_counts, {pictures}, DType::kI32, objects);
  }
  CHECK(params.low <= params.high, "[match_boxes] low must not be above high, got ", params.low,
        " and ", params.high);
  const std::int64_t n = boxes.dim(-2);
  const Matches matches{Tensor::empty({pictures, n}, DType::kI32, objects.device()),
                        Tensor::empty({pictures, n}, DType::kI32, objects.device())};
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor largest = Tensor::empty({pictures, objects.dim(1)}, DType::kF32, objects.device());
  const MatchProblem problem{params,
                             pictures,
                             objects.dim(1),
                             n,
                             boxes_of(objects),
                             counts.data<std::int32_t>(),
                             boxes_of(boxes),
                             boxes.rank() == 2,
                             box_counts.defined() ? box_counts.data<std::int32_t>() : nullptr,
                             largest.data<float>(),
                             matches.objects.data<std::int32_t>(),
                             matches.labels.data<std::int32_t>()};
  DISPATCH(objects.device(), match_boxes, objects.device(), problem);
  return matches;
}

}  // namespace invp
