// Element-wise operations on f32 or bf16, y of the shape and dtype of x.
//   relu: y = max(x, 0). NaN stays NaN. dx = dy where y > 0, else 0; saves y.
//   add:  y = a + b, same shapes and dtypes. da = db = dy; saves nothing.
// The arithmetic is written once, as functors that CPU loops and CUDA kernels share.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/host_device.h"
#include "engine/core/tensor.h"

namespace invp {

Tensor relu(const Tensor& x);
Tensor add(const Tensor& a, const Tensor& b);

struct Relu {
  HOST_DEVICE static float forward(float x) { return x < 0 ? 0 : x; }
  /// Written so that NaN passes its gradient on, as in PyTorch.
  HOST_DEVICE static float backward(float y, float dy) { return y <= 0 ? 0 : dy; }
};

struct Add {
  HOST_DEVICE static float forward(float a, float b) { return a + b; }
};

KERNEL(relu_forward, const Tensor& x, const Tensor& y);
KERNEL(relu_backward, const Tensor& y, const Tensor& dy, const Tensor& dx);
KERNEL(add_forward, const Tensor& a, const Tensor& b, const Tensor& y);

}  // namespace invp
