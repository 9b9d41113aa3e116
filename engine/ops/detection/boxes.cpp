#include "engine/ops/detection/boxes.h"

#include "engine/core/checks.h"
#include "engine/ops/detection/box_checks.h"
#include "engine/ops/detection/box_elements.h"

namespace invp {

Tensor box_iou(const Tensor& a, const Tensor& b) {
  check_boxes("box_iou", "the first boxes", a);
  check_boxes("box_iou", "the second boxes", b);
  check_same_device("box_iou", a, "the second boxes", b);
  const Tensor ious = Tensor::empty({a.dim(0), b.dim(0)}, DType::kF32, a.device());
  const IouElement element{boxes_of(a), boxes_of(b), b.dim(0), ious.data<float>()};
  DISPATCH(a.device(), for_each_element, a.device(), ious.numel(), element);
  return ious;
}

Tensor encode_boxes(const Tensor& boxes, const Tensor& targets, const BoxWeights& weights) {
  check_boxes("encode_boxes", "boxes", boxes);
  check_part("encode_boxes", "targets", targets, boxes.shape(), DType::kF32, boxes);
  const Tensor deltas = Tensor::empty_like(boxes);
  const EncodeElement element{boxes_of(boxes), boxes_of(targets), weights, boxes_of(deltas)};
  DISPATCH(boxes.device(), for_each_element, boxes.device(), boxes.dim(0), element);
  return deltas;
}

Tensor decode_boxes(const Tensor& deltas, const Tensor& boxes, const BoxWeights& weights) {
  check_boxes("decode_boxes", "boxes", boxes);
  CHECK(deltas.rank() == 2 && deltas.dtype() == DType::kF32 && deltas.dim(0) == boxes.dim(0) &&
            deltas.dim(1) % 4 == 0,
        "[decode_boxes] deltas must be f32 of shape (", boxes.dim(0), ", 4 k), got ",
        deltas.dtype(), " ", deltas.shape());
  check_same_device("decode_boxes", boxes, "deltas", deltas);
  const Tensor decoded = Tensor::empty_like(deltas);
  const DecodeElement element{boxes_of(deltas), boxes_of(boxes), deltas.dim(1) / 4, weights,
                              boxes_of(decoded)};
  DISPATCH(boxes.device(), for_each_element, boxes.device(), deltas.numel() / 4, element);
  return decoded;
}

Candidates candidate_boxes(const Tensor& scores, const Tensor& deltas, const Tensor& boxes,
                           const Tensor& rows, const Tensor& sizes, const BoxWeights& weights) {
  constexpr const char* kOp = "candidate_boxes";
  CHECK(scores.rank() == 2 && scores.dtype() == DType::kF32,
        "[candidate_boxes] scores must be f32 of shape (B, n), got ", scores.dtype(), " ",
        scores.shape());
  const std::int64_t pictures = scores.dim(0);
  const std::int64_t count = scores.dim(1);
  check_part(kOp, "deltas", deltas, {pictures, count, 4}, DType::kF32, scores);
  if (boxes.rank() == 2) {
    check_part(kOp, "boxes", boxes, {count, 4}, DType::kF32, scores);
  } else {
    check_part(kOp, "boxes", boxes, {pictures, count, 4}, DType::kF32, scores);
  }
  check_rows(kOp, rows, pictures, scores);
  check_part(kOp, "sizes", sizes, {pictures, 2}, DType::kF32, scores);
  const Candidates out{Tensor::empty({pictures, rows.dim(1), 4}, DType::kF32, scores.device()),
                       Tensor::empty({pictures, rows.dim(1)}, DType::kF32, scores.device())};
  const CandidateElement element{scores.data<float>(),
                                 boxes_of(deltas),
                                 boxes_of(boxes),
                                 rows.data<std::int32_t>(),
                                 sizes.data<float>(),
                                 weights,
                                 count,
                                 rows.dim(1),
                                 boxes.rank() == 2,
                                 boxes_of(out.boxes),
                                 out.scores.data<float>()};
  DISPATCH(scores.device(), for_each_element, scores.device(), rows.numel(), element);
  return out;
}

Tensor take_boxes(const Tensor& boxes, const Tensor& rows) {
  check_lists_of_boxes("take_boxes", boxes);
  check_rows("take_boxes", rows, boxes.dim(0), boxes);
  const Tensor taken = Tensor::empty({boxes.dim(0), rows.dim(1), 4}, DType::kF32, boxes.device());
  const TakeElement element{boxes_of(boxes), rows.data<std::int32_t>(), boxes.dim(1), rows.dim(1),
                            boxes_of(taken)};
  DISPATCH(boxes.device(), for_each_element, boxes.device(), rows.numel(), element);
  return taken;
}

}  // namespace invp
