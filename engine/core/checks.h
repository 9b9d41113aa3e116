// Checks that several operations share.
#pragma once

#include "engine/core/tensor.h"

namespace invp {

/// Throws unless `other` lives on x's device.
inline void check_same_device(const char* op, const Tensor& x, const char* name,
                              const Tensor& other) {
  CHECK(x.device() == other.device(), "[", op, "] x is on ", x.device(), " but ", name, " is on ",
        other.device());
}

/// Throws unless x is f32 or bf16.
inline void check_floating(const char* op, const Tensor& x) {
  CHECK(x.dtype() == DType::kF32 || x.dtype() == DType::kBF16, "[", op, "] needs f32 or bf16, got ",
        x.dtype());
}

/// Throws unless `parameter` has one f32 per channel, on x's device: scales, shifts, statistics.
inline void check_per_channel(const char* op, const Tensor& x, const char* name,
                              const Tensor& parameter) {
  CHECK(parameter.shape() == Shape{x.dim(-1)} && parameter.dtype() == DType::kF32, "[", op, "] ",
        name, " must be f32 of shape ", Shape{x.dim(-1)}, " for x ", x.shape(), ", got ",
        parameter.dtype(), " ", parameter.shape());
  check_same_device(op, x, name, parameter);
}

/// Throws unless `value`, where it is defined, is one element of that dtype on x's device.
inline void check_scalar(const char* op, const Tensor& x, const char* name, const Tensor& value,
                         DType dtype) {
  if (!value.defined()) return;
  CHECK(value.numel() == 1 && value.dtype() == dtype, "[", op, "] ", name, " must be one ", dtype,
        ", got ", value.dtype(), " ", value.shape());
  check_same_device(op, x, name, value);
}

}  // namespace invp
