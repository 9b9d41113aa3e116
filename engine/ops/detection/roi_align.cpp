#include "engine/ops/detection/roi_align.h"

#include <cmath>

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

namespace {

constexpr int kMostBins = 1024;     // along an axis
constexpr int kMostSamples = 1024;  // in a bin, along an axis

void check_params(const RoiAlignParams& params) {
  const auto fits = [](int bins) { return bins >= 1 && bins <= kMostBins; };
  CHECK(fits(params.height) && fits(params.width), "[roi_align] cannot make ", params.height, " x ",
        params.width, " bins: give 1 to ", kMostBins, " along each side");
  CHECK(params.sampling_ratio >= 0 && params.sampling_ratio <= kMostSamples,
        "[roi_align] sampling_ratio must lie in [0, ", kMostSamples, "], got ",
        params.sampling_ratio);
  CHECK(fits(params.step), "[roi_align] step must lie in [1, ", kMostBins, "], got ", params.step);
  CHECK(std::isfinite(params.spatial_scale) && params.spatial_scale > 0,
        "[roi_align] spatial_scale must be positive, got ", params.spatial_scale);
}

}  // namespace

Tensor roi_align(const Tensor& x, const Tensor& boxes, const RoiAlignParams& params) {
  check_floating("roi_align", x);
  CHECK(x.rank() == 4 && x.dim(1) > 0 && x.dim(2) > 0,
        "[roi_align] needs a map of (N,H,W,C) with cells, got ", x.shape());
  CHECK(boxes.rank() == 2 && boxes.dim(1) == 5 && boxes.dtype() == DType::kF32,
        "[roi_align] boxes must be f32 of shape (n, 5), picture and corners, got ", boxes.dtype(),
        " ", boxes.shape());
  check_same_device("roi_align", x, "boxes", boxes);
  check_params(params);

  const Tensor y = Tensor::empty({boxes.dim(0), params.rows(), params.columns(), x.dim(3)},
                                 x.dtype(), x.device());
  DISPATCH(x.device(), roi_align_forward, params, x, boxes, y);
  return record("roi_align", y, {x}, [&] {
    return [params, shape = x.shape(), boxes = boxes.detach()](const Tensor& dy,
                                                               const Needs&) -> Grads {
      const Tensor dx = Tensor::empty(shape, dy.dtype(), dy.device());
      DISPATCH(dy.device(), roi_align_backward, params, dy, boxes, dx);
      return {dx};
    };
  });
}

}  // namespace invp
