// One step of stochastic gradient descent on many parameters in one pass: reads weight, gradient
// and momentum once, writes weight, momentum and, where one is given, the copy once. Gradients are
// never modified.
//   g' = g + weight_decay * w       coupled L2 decay
//   v  = momentum * v + g'          on the first step v = g', as in PyTorch
//   w  = w - lr * v
//   copy = w                        rounded to bf16, for the next forward pass
// All tensors but the copy are f32; a parameter's tensors have one shape; all are on one device.
// Throws Error otherwise. With momentum 0, v is not read. What changes from step to step can be
// given in the device's memory, where a captured step reads it (core/captured_work.h).
#pragma once

#include <span>

#include "engine/core/dispatch.h"
#include "engine/core/host_device.h"
#include "engine/core/tensor.h"

namespace invp {

struct SgdHyper {
  double lr = 0.03;
  double momentum = 0.9;
  double weight_decay = 0;
};

struct SgdItem {
  Tensor weight, gradient, momentum;
  bool first = false;  ///< the momentum holds nothing yet
  Tensor copy = {};    ///< bf16; undefined: none
};

struct SgdControl {
  Tensor lr_factor = {};  ///< one f32: times hyper.lr; undefined: 1
  Tensor halted = {};     ///< one i32: unless it is 0, nothing changes; undefined: 0
};

void sgd_step(std::span<const SgdItem> items, const SgdHyper& hyper,
              const SgdControl& control = {});

/// The arithmetic of one element, in its precision.
struct SgdRule {
  float lr, momentum, decay;
  explicit SgdRule(const SgdHyper& hyper)
      : lr(static_cast<float>(hyper.lr)),
        momentum(static_cast<float>(hyper.momentum)),
        decay(static_cast<float>(hyper.weight_decay)) {}

  /// v without an old one: on the first step, and with momentum 0.
  HOST_DEVICE float fresh_velocity(float w, float g) const { return g + decay * w; }
  HOST_DEVICE float velocity(float w, float g, float v) const {
    return momentum * v + fresh_velocity(w, g);
  }
  HOST_DEVICE float weight(float w, float v) const { return w - lr * v; }
};

KERNEL(sgd_step, std::span<const SgdItem> items, const SgdHyper& hyper, const SgdControl& control);

}  // namespace invp
