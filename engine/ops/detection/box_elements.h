// What each element of the results of boxes.h is, for both devices: a functor of its number, and
// the kernels that call it for every number.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"
#include "engine/ops/detection/box_arithmetic.h"

namespace invp {

/// The elements of a tensor as boxes.
inline Box* boxes_of(const Tensor& tensor) {
  return reinterpret_cast<Box*>(tensor.data<float>());
}

struct IouElement {
  const Box* a;
  const Box* b;
  std::int64_t columns;
  float* out;
  HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = iou(a[i / columns], b[i % columns]);
  }
};

struct EncodeElement {
  const Box* boxes;
  const Box* targets;
  BoxWeights weights;
  Box* out;
  HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = encode(boxes[i], targets[i], weights);
  }
};

struct DecodeElement {
  const Box* deltas;
  const Box* boxes;
  std::int64_t per_box;
  BoxWeights weights;
  Box* out;
  HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = decode(deltas[i], boxes[i / per_box], weights);
  }
};

struct CandidateElement {
  const float* scores;
  const Box* deltas;
  const Box* boxes;
  const std::int32_t* rows;
  const float* sizes;
  BoxWeights weights;
  std::int64_t per_picture;
  std::int64_t chosen;
  bool shared;  ///< the same boxes for every picture
  Box* out;
  float* out_scores;

  HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = {0, 0, 0, 0};
    out_scores[i] = NAN;
    if (rows[i] < 0) return;
    const std::int64_t picture = i / chosen;
    const std::int64_t row = picture * per_picture + rows[i];
    const Box decoded = decode(deltas[row], boxes[shared ? rows[i] : row], weights);
    const float score = scores[row];
    if (!is_finite(decoded) || !is_finite({score, 0, 0, 0})) return;
    const Box inside = clip(decoded, sizes[2 * picture], sizes[2 * picture + 1]);
    if (!(inside.width() > 0 && inside.height() > 0)) return;
    out[i] = inside;
    out_scores[i] = score;
  }
};

struct TakeElement {
  const Box* boxes;
  const std::int32_t* rows;
  std::int64_t per_picture;
  std::int64_t chosen;
  Box* out;
  HOST_DEVICE void operator()(std::int64_t i) const {
    out[i] = rows[i] < 0 ? Box{0, 0, 0, 0} : boxes[i / chosen * per_picture + rows[i]];
  }
};

KERNEL(for_each_element, Device device, std::int64_t count, const IouElement& element);
KERNEL(for_each_element, Device device, std::int64_t count, const EncodeElement& element);
KERNEL(for_each_element, Device device, std::int64_t count, const DecodeElement& element);
KERNEL(for_each_element, Device device, std::int64_t count, const CandidateElement& element);
KERNEL(for_each_element, Device device, std::int64_t count, const TakeElement& element);

}  // namespace invp
