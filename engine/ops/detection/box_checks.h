// Checks that the operations on boxes share.
#pragma once

#include "engine/core/checks.h"

namespace invp {

/// Throws unless `boxes` is f32 of shape (n, 4).
inline void check_boxes(const char* op, const char* name, const Tensor& boxes) {
  CHECK(boxes.rank() == 2 && boxes.dim(1) == 4 && boxes.dtype() == DType::kF32, "[", op, "] ", name,
        " must be f32 of shape (n, 4), got ", boxes.dtype(), " ", boxes.shape());
}

/// Throws unless `boxes` is f32 of shape (B, n, 4), a list for each picture.
inline void check_lists_of_boxes(const char* op, const Tensor& boxes) {
  CHECK(boxes.rank() == 3 && boxes.dim(2) == 4 && boxes.dtype() == DType::kF32, "[", op,
        "] boxes must be f32 of shape (B, n, 4), got ", boxes.dtype(), " ", boxes.shape());
}

/// Throws unless `part` has this shape and dtype, on x's device.
inline void check_part(const char* op, const char* name, const Tensor& part, const Shape& shape,
                       DType dtype, const Tensor& x) {
  CHECK(part.shape() == shape && part.dtype() == dtype, "[", op, "] ", name, " must be ", dtype,
        " of shape ", shape, ", got ", part.dtype(), " ", part.shape());
  check_same_device(op, x, name, part);
}

/// Throws unless `rows` is i32 of shape (B, k), on x's device.
inline void check_rows(const char* op, const Tensor& rows, std::int64_t pictures, const Tensor& x) {
  CHECK(rows.rank() == 2 && rows.dim(0) == pictures && rows.dtype() == DType::kI32, "[", op,
        "] rows must be i32 of shape (", pictures, ", k), got ", rows.dtype(), " ", rows.shape());
  check_same_device(op, x, "rows", rows);
}

}  // namespace invp
