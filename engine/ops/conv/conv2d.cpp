#include "engine/ops/conv/conv2d.h"

#include <utility>

#include "engine/autograd/node.h"

namespace invp {

Conv2dShape conv2d_shape(const Shape& x, const Shape& w, const Conv2dParams& params) {
  const int stride = params.stride, padding = params.padding, dilation = params.dilation;
  const int groups = params.groups;
  CHECK(x.rank() == 4 && w.rank() == 4,
        "[conv2d] needs images (N, H, W, C) and weights (K, R, S, C/groups), got ", x, " and ", w);
  CHECK(stride >= 1 && padding >= 0 && dilation >= 1 && groups >= 1,
        "[conv2d] needs stride >= 1, padding >= 0, ", "dilation >= 1, groups >= 1, got stride ",
        stride, ", padding ", padding, ", dilation ", dilation, ", groups ", groups);
  Conv2dShape s{.N = x[0],
                .H = x[1],
                .W = x[2],
                .C = x[3],
                .K = w[0],
                .R = w[1],
                .S = w[2],
                .params = params};
  CHECK(s.C % groups == 0 && s.K % groups == 0, "[conv2d] ", groups,
        " groups must divide the channels of both ", x, " and ", w);
  CHECK(w[3] == s.C / groups, "[conv2d] weight expects ", w[3], " channels per group, images have ",
        s.C / groups, ": weight ", w, ", images ", x, ", groups ", groups);
  CHECK(s.R >= 1 && s.S >= 1, "[conv2d] empty window in weight ", w);
  const auto extent = [&](std::int64_t in, std::int64_t window) {
    const std::int64_t reach = in + 2 * padding - dilation * (window - 1) - 1;
    CHECK(reach >= 0, "[conv2d] window of ", w, " with dilation ", dilation,
          " is larger than images ", x, " padded by ", padding);
    return reach / stride + 1;
  };
  s.P = extent(s.H, s.R);
  s.Q = extent(s.W, s.S);
  return s;
}

namespace {

void check_operands(const Tensor& x, const Tensor& w, const Tensor& b, std::int64_t filters) {
  CHECK(x.dtype() == w.dtype(), "[conv2d] images are ", x.dtype(), ", weights ", w.dtype());
  CHECK(x.device() == w.device(), "[conv2d] images are on ", x.device(), ", weights on ",
        w.device());
  CHECK(!b.defined() || b.shape() == Shape{filters}, "[conv2d] bias must be (", filters, "), got ",
        b.shape());
}

Tensor input_gradient(const Conv2dShape& s, const Tensor& dy, const Tensor& w) {
  const Tensor dx = Tensor::empty({s.N, s.H, s.W, s.C}, dy.dtype(), dy.device());
  DISPATCH(w.device(), conv2d_backward_input, s, dy, w, dx);
  return dx;
}

Tensor recorded(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                const Tensor& y) {
  return record("conv2d", y, {x, w, b}, [&] {
    const bool for_filters = wants_gradient(w) || wants_gradient(b);
    return [s, x = for_filters ? x.detach() : Tensor(), w = w.detach(),
            b_dtype = b.defined() ? b.dtype() : DType::kF32](const Tensor& dy,
                                                             const Needs& needs) mutable {
      Grads grads(3);
      if (needs[1] || needs[2]) {
        const Tensor images = std::exchange(x, {});  // freed before dx is allocated
        const MemoryScope scope(MemoryUse::kGradients);
        grads[1] = Tensor::empty_like(w);
        if (needs[2]) grads[2] = Tensor::empty({s.K}, b_dtype, w.device());
        DISPATCH(w.device(), conv2d_backward_weight, s, dy, images, grads[1], grads[2]);
      }
      if (needs[0]) grads[0] = input_gradient(s, dy, w);
      return grads;
    };
  });
}

}  // namespace

Tensor conv2d(const Tensor& x, const Tensor& w, const Tensor& b, const Conv2dParams& params) {
  const Conv2dShape s = conv2d_shape(x.shape(), w.shape(), params);
  check_operands(x, w, b, s.K);
  const Tensor y = Tensor::empty({s.N, s.P, s.Q, s.K}, x.dtype(), x.device());
  DISPATCH(x.device(), conv2d_forward, s, x, w, b, y, Conv2dFusion{});
  return recorded(s, x, w, b, y);
}

Tensor conv2d_fused(const Tensor& x, const Tensor& w, Conv2dEpilogue epilogue,
                    const Conv2dParams& params) {
  CHECK(!grad_enabled(), "[conv2d_fused] has no backward pass: use conv2d, or NoGrad");
  const Conv2dShape s = conv2d_shape(x.shape(), w.shape(), params);
  check_operands(x, w, epilogue.b, s.K);
  const Shape out{s.N, s.P, s.Q, s.K};
  const bool add = epilogue.residual.defined();
  CHECK(!add || (epilogue.residual.shape() == out && epilogue.residual.dtype() == x.dtype()),
        "[conv2d_fused] residual must be ", x.dtype(), out, ", got ", epilogue.residual.shape());
  // The kernel adds to what y holds.
  const Tensor y = !add                         ? Tensor::empty(out, x.dtype(), x.device())
                   : epilogue.residual.unique() ? std::move(epilogue.residual)
                                                : epilogue.residual.clone();
  DISPATCH(x.device(), conv2d_forward, s, x, w, epilogue.b, y,
           (Conv2dFusion{.add = add, .relu = epilogue.relu}));
  return y;
}

}  // namespace invp
