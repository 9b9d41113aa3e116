// Which inputs an output of a pooling reads, along one axis, and which outputs read an input.
// Written once for shapes, forward, backward and every device.
#pragma once

#include <cstdint>

#include "engine/core/host_device.h"
#include "engine/core/shape.h"

namespace invp {

/// Windows of `kernel` inputs every `stride`, the first one `padding` before the first input; or,
/// when adaptive, window o of [floor(o in / out), ceil((o + 1) in / out)).
struct PoolAxis {
  std::int64_t in = 0;
  std::int64_t out = 0;
  std::int64_t kernel = 0;
  std::int64_t stride = 0;
  std::int64_t padding = 0;
  bool adaptive = false;

  /// The window of output o, clipped to the inputs there are: [begin, end).
  HOST_DEVICE std::int64_t begin(std::int64_t o) const {
    if (adaptive) return o * in / out;
    const std::int64_t first = o * stride - padding;
    return first < 0 ? 0 : first;
  }
  HOST_DEVICE std::int64_t end(std::int64_t o) const {
    if (adaptive) return ((o + 1) * in + out - 1) / out;
    const std::int64_t last = o * stride - padding + kernel;
    return last < in ? last : in;
  }

  /// The outputs whose windows hold input i: [first, last). Windows move forward, so they are
  /// neighbors.
  HOST_DEVICE std::int64_t first(std::int64_t i) const {
    if (adaptive) return i * out / in;
    const std::int64_t before =
        i + padding - kernel;  // the last place a window that misses i can start
    return before < 0 ? 0 : before / stride + 1;
  }
  HOST_DEVICE std::int64_t last(std::int64_t i) const {
    if (adaptive) return ((i + 1) * out + in - 1) / in;
    const std::int64_t after = (i + padding) / stride + 1;
    return after < out ? after : out;
  }
};

struct PoolAxes {
  PoolAxis rows;
  PoolAxis columns;
};

/// The windows over the rows and columns of x (N,H,W,C). Throws Error naming `op` for what does not
/// fit.
inline PoolAxes pool_axes(const char* op, const Shape& x, int kernel, int stride, int padding) {
  CHECK(x.rank() == 4, "[", op, "] needs x of (N,H,W,C), got ", x);
  CHECK(kernel >= 1 && stride >= 1, "[", op, "] kernel and stride must be positive, got ", kernel,
        " and ", stride);
  CHECK(padding >= 0 && padding <= kernel / 2, "[", op, "] padding must be 0 to half the kernel ",
        kernel, ", got ", padding);
  CHECK(x[1] + 2 * padding >= kernel && x[2] + 2 * padding >= kernel, "[", op, "] the window of ",
        kernel, " with padding ", padding, " does not fit into x ", x);
  const auto axis = [=](std::int64_t in) {
    return PoolAxis{.in = in,
                    .out = (in + 2 * padding - kernel) / stride + 1,
                    .kernel = kernel,
                    .stride = stride,
                    .padding = padding};
  };
  return {axis(x[1]), axis(x[2])};
}

}  // namespace invp
