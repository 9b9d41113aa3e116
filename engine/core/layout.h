// To and from PyTorch's layouts: images are NCHW and convolution weights OIHW there, NHWC and OHWI
// here. Grouped weights keep their I = C / groups.
#pragma once

#include "engine/core/tensor.h"

namespace invp {

/// (N,C,H,W) -> (N,H,W,C), also (O,I,H,W) -> (O,H,W,I): a copy on the host, of any dtype. Throws
/// Error unless the rank is 4.
Tensor channels_last(const Tensor& x);

/// (N,H,W,C) -> (N,C,H,W), also (O,H,W,I) -> (O,I,H,W).
Tensor channels_first(const Tensor& x);

}  // namespace invp
