// RoIAlign: a grid of height x width bins from each box of a feature map, every bin the mean of
// samples that are interpolated bilinearly (Mask R-CNN; torchvision.ops.roi_align, detectron2's
// ROIAlignV2 where `aligned`).
//   x (N,H,W,C) f32 or bf16, boxes (n, 5) f32, each (picture, x0, y0, x1, y1) in pixels ->
//   y (n, rows, columns, C) of x's dtype, sums in f32: height x width, or every step-th bin of
//   either axis from the first, to the bit as without a step.
//   A box is multiplied by spatial_scale and, if aligned, moved by half a cell; then its length
//   along an axis is cut into bins of sampling_ratio samples each, with 0 of ceil(length / bins).
//   Samples more than a cell outside of the map are 0. A box of no area gives 0 where the samples
//   follow from its size; so does a box of a picture that does not exist.
//   Gradient: to x, each cell the sum over the boxes in their order: the same bits for any number
//   of threads. None for the boxes. Saves the boxes.
//   Throws for other shapes and dtypes, and for parameters out of range.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/host_device.h"
#include "engine/core/tensor.h"

namespace invp {

struct RoiAlignParams {
  int height = 7;
  int width = 7;
  float spatial_scale = 1;  ///< cells of the map per pixel
  int sampling_ratio = 0;
  bool aligned = true;  ///< false: without the half cell, and boxes at least one cell long
  int step = 1;         ///< along both axes, from one bin that is computed to the next

  HOST_DEVICE int rows() const { return (height + step - 1) / step; }
  HOST_DEVICE int columns() const { return (width + step - 1) / step; }
};

Tensor roi_align(const Tensor& x, const Tensor& boxes, const RoiAlignParams& params);

KERNEL(roi_align_forward, const RoiAlignParams& params, const Tensor& x, const Tensor& boxes,
       const Tensor& y);
KERNEL(roi_align_backward, const RoiAlignParams& params, const Tensor& dy, const Tensor& boxes,
       const Tensor& dx);

}  // namespace invp
