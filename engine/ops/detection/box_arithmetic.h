// The arithmetic on boxes (x0, y0, x1, y1), the same on both devices and to the bit that of
// torchvision and detectron2: what is compared with a threshold or for equality must not depend on
// the device. Files that include this are compiled without fused multiply-add.
#pragma once

#include <cmath>

#include "engine/core/host_device.h"
#include "engine/ops/detection/boxes.h"

namespace invp {

struct Box {
  float x0;
  float y0;
  float x1;
  float y1;

  HOST_DEVICE float width() const { return x1 - x0; }
  HOST_DEVICE float height() const { return y1 - y0; }
  HOST_DEVICE float area() const { return width() * height(); }
};

HOST_DEVICE inline float largest(float a, float b) {
  return a > b ? a : b;
}
HOST_DEVICE inline float smallest(float a, float b) {
  return a < b ? a : b;
}

HOST_DEVICE inline float intersection(const Box& a, const Box& b) {
  const float width = smallest(a.x1, b.x1) - largest(a.x0, b.x0);
  const float height = smallest(a.y1, b.y1) - largest(a.y0, b.y0);
  return largest(width, 0) * largest(height, 0);
}

/// NaN of two empty boxes. Without a branch, so that loops over it are vectorised.
HOST_DEVICE inline float shared_part(const Box& a, const Box& b) {
  const float inside = intersection(a, b);
  return inside / (a.area() + b.area() - inside);
}

/// 0 of boxes that do not meet, also of two empty ones.
HOST_DEVICE inline float iou(const Box& a, const Box& b) {
  return intersection(a, b) > 0 ? shared_part(a, b) : 0;
}

HOST_DEVICE inline Box encode(const Box& box, const Box& target, const BoxWeights& weights) {
  const float width = box.width();
  const float height = box.height();
  const float target_width = target.width();
  const float target_height = target.height();
  const float x = box.x0 + 0.5F * width;
  const float y = box.y0 + 0.5F * height;
  const float target_x = target.x0 + 0.5F * target_width;
  const float target_y = target.y0 + 0.5F * target_height;
  return {weights.x * (target_x - x) / width, weights.y * (target_y - y) / height,
          weights.width * std::log(target_width / width),
          weights.height * std::log(target_height / height)};
}

HOST_DEVICE inline Box decode(const Box& deltas, const Box& box, const BoxWeights& weights) {
  const float width = box.width();
  const float height = box.height();
  const float x = deltas.x0 / weights.x * width + (box.x0 + 0.5F * width);
  const float y = deltas.y0 / weights.y * height + (box.y0 + 0.5F * height);
  // As torch.clamp: NaN stays NaN.
  const auto bounded = [](float stretch) {
    return stretch > kMostStretch ? kMostStretch : stretch;
  };
  const float new_width = std::exp(bounded(deltas.x1 / weights.width)) * width;
  const float new_height = std::exp(bounded(deltas.y1 / weights.height)) * height;
  return {x - 0.5F * new_width, y - 0.5F * new_height, x + 0.5F * new_width, y + 0.5F * new_height};
}

/// The part of a box inside a picture.
HOST_DEVICE inline Box clip(const Box& box, float height, float width) {
  const auto within = [](float value, float most) {
    return value < 0 ? 0 : value > most ? most : value;
  };
  return {within(box.x0, width), within(box.y0, height), within(box.x1, width),
          within(box.y1, height)};
}

HOST_DEVICE inline bool is_finite(const Box& box) {
  constexpr float kLargest = 3.402823466e38F;
  const auto finite = [](float value) { return value >= -kLargest && value <= kLargest; };
  return finite(box.x0) && finite(box.y0) && finite(box.x1) && finite(box.y1);
}

}  // namespace invp
