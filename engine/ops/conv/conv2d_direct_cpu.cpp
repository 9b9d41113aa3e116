// Convolution by oneDNN. Images stay NHWC. The weights are reordered into the layout that its
// kernel chooses, and back: a pass over the weights that saves many over the images.
#include "engine/ops/conv/conv2d_direct_cpu.h"

#include "engine/core/onednn.h"
#include "engine/core/parallel.h"

namespace invp::cpu {

namespace {

using dnnl::memory;
using Dims = memory::dims;

/// The descriptors of one convolution in oneDNN's terms.
struct Problem {
  memory::desc x, w, b, y;  ///< as our tensors lie
  memory::desc any_w;       ///< weights in a layout of oneDNN's choice
  Dims stride, dilation, padding_low, padding_high;
};

Problem describe(const Conv2dShape& s, DType dtype, bool bias) {
  const memory::data_type type = onednn::type_of(dtype);
  const auto [stride, padding, dilation, groups] = s.params;
  const std::int64_t G = groups;
  const std::int64_t c = s.C / G;  // channels per group
  const std::int64_t k = s.K / G;
  Problem p;
  p.x = memory::desc({s.N, s.C, s.H, s.W}, type, memory::format_tag::nhwc);
  p.y = memory::desc({s.N, s.K, s.P, s.Q}, type, memory::format_tag::nhwc);
  if (G == 1) {
    p.w = memory::desc({s.K, s.C, s.R, s.S}, type, Dims{s.R * s.S * c, 1, s.S * c, c});
    p.any_w = memory::desc({s.K, s.C, s.R, s.S}, type, memory::format_tag::any);
  } else {
    p.w = memory::desc({G, k, c, s.R, s.S}, type,
                       Dims{k * s.R * s.S * c, s.R * s.S * c, 1, s.S * c, c});
    p.any_w = memory::desc({G, k, c, s.R, s.S}, type, memory::format_tag::any);
  }
  if (bias) p.b = memory::desc({s.K}, memory::data_type::f32, memory::format_tag::x);
  p.stride = {stride, stride};
  p.dilation = {dilation - 1, dilation - 1};
  p.padding_low = {padding, padding};
  // Padding after the image that gives P x Q outputs: negative where the last window ends before
  // the border.
  p.padding_high = {(s.P - 1) * stride + dilation * (s.R - 1) + 1 - s.H - padding,
                    (s.Q - 1) * stride + dilation * (s.S - 1) + 1 - s.W - padding};
  return p;
}

enum class Pass : std::uint8_t { kForward, kBackwardInput, kBackwardWeight };

onednn::Key key_of(Pass pass, const Conv2dShape& s, DType dtype, bool bias,
                   Conv2dFusion fusion = {}) {
  const auto [stride, padding, dilation, groups] = s.params;
  return {static_cast<std::int64_t>(pass),
          s.N,
          s.H,
          s.W,
          s.C,
          s.K,
          s.R,
          s.S,
          stride,
          padding,
          dilation,
          groups,
          static_cast<std::int64_t>(dtype),
          bias ? 1 : 0,
          fusion.add ? 1 : 0,
          fusion.relu ? 1 : 0,
          num_threads()};
}

dnnl::primitive_attr attributes(Conv2dFusion fusion = {}) {
  dnnl::primitive_attr attr;
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  dnnl::post_ops ops;
  if (fusion.add) ops.append_sum(1.0F);
  // oneDNN's relu makes NaN 0. Its prelu of slope 0 keeps NaN, at the same speed; -inf becomes NaN.
  if (fusion.relu) ops.append_prelu(0);
  attr.set_post_ops(ops);
  return attr;
}

/// Where the slope of the relu stands among a primitive's arguments: its place among the post-ops.
int relu_slope(Conv2dFusion fusion) {
  return DNNL_ARG_ATTR_MULTIPLE_POST_OP(fusion.add ? 1 : 0) | DNNL_ARG_WEIGHTS;
}

memory zero_slope() {
  static const Tensor zero = Tensor::zeros({1});
  return onednn::memory(zero, {{1, 1, 1, 1}, memory::data_type::f32, memory::format_tag::nchw});
}

dnnl::convolution_forward::primitive_desc forward_desc(const Problem& p, Conv2dFusion fusion) {
  return {onednn::engine(),
          dnnl::prop_kind::forward_training,
          dnnl::algorithm::convolution_direct,
          p.x,
          p.any_w,
          p.b,
          p.y,
          p.stride,
          p.dilation,
          p.padding_low,
          p.padding_high,
          attributes(fusion)};
}

/// Runs the primitive with scratch memory of ours.
void execute(const onednn::Primitive& primitive, std::unordered_map<int, memory> arguments) {
  const Tensor scratch = onednn::scratch(primitive.scratchpad);
  if (scratch.defined())
    arguments[DNNL_ARG_SCRATCHPAD] = onednn::memory(scratch, primitive.scratchpad);
  primitive.run.execute(onednn::stream(), arguments);
}

/// The weights in the layout of the primitive; `holder` keeps a reordered copy alive.
memory packed_weights(const onednn::Primitive& conv, const Tensor& w, const memory::desc& plain,
                      Tensor& holder) {
  const memory source = onednn::memory(w, plain);
  if (!conv.reorder) return source;
  holder = onednn::scratch(conv.weights);
  memory target = onednn::memory(holder, conv.weights);
  conv.reorder.execute(onednn::stream(), {{DNNL_ARG_FROM, source}, {DNNL_ARG_TO, target}});
  return target;
}

}  // namespace

void direct_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion) {
  if (y.numel() == 0) return;
  onednn::guarded(
      [&] {
        const Problem p = describe(s, x.dtype(), b.defined());
        const auto conv =
            onednn::cached(key_of(Pass::kForward, s, x.dtype(), b.defined(), fusion), [&] {
              const auto desc = forward_desc(p, fusion);
              return onednn::Primitive{dnnl::convolution_forward(desc), desc.weights_desc(),
                                       onednn::make_reorder(p.w, desc.weights_desc()),
                                       desc.scratchpad_desc(), desc.impl_info_str()};
            });
        Tensor packed;
        std::unordered_map<int, memory> arguments = {
            {DNNL_ARG_SRC, onednn::memory(x, p.x)},
            {DNNL_ARG_WEIGHTS, packed_weights(*conv, w, p.w, packed)},
            {DNNL_ARG_DST, onednn::memory(y, p.y)}};
        if (b.defined()) arguments[DNNL_ARG_BIAS] = onednn::memory(b, p.b);
        if (fusion.relu) arguments[relu_slope(fusion)] = zero_slope();
        execute(*conv, std::move(arguments));
      },
      "[conv2d] images ", x.shape(), ", weight ", w.shape());
}

void direct_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx) {
  if (dx.numel() == 0) return;
  onednn::guarded(
      [&] {
        const Problem p = describe(s, dy.dtype(), false);
        const auto conv = onednn::cached(key_of(Pass::kBackwardInput, s, dy.dtype(), false), [&] {
          const dnnl::convolution_backward_data::primitive_desc desc(
              onednn::engine(), dnnl::algorithm::convolution_direct, p.x, p.any_w, p.y, p.stride,
              p.dilation, p.padding_low, p.padding_high, forward_desc(p, {}), attributes());
          return onednn::Primitive{dnnl::convolution_backward_data(desc), desc.weights_desc(),
                                   onednn::make_reorder(p.w, desc.weights_desc()),
                                   desc.scratchpad_desc(), desc.impl_info_str()};
        });
        Tensor packed;
        execute(*conv, {{DNNL_ARG_DIFF_DST, onednn::memory(dy, p.y)},
                        {DNNL_ARG_WEIGHTS, packed_weights(*conv, w, p.w, packed)},
                        {DNNL_ARG_DIFF_SRC, onednn::memory(dx, p.x)}});
      },
      "[conv2d] gradient of images ", dx.shape(), ", weight ", w.shape());
}

void direct_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw, const Tensor& db) {
  if (x.numel() == 0 || dy.numel() == 0) {
    dw.zero();
    if (db.defined()) db.zero();
    return;
  }
  onednn::guarded(
      [&] {
        const Problem p = describe(s, x.dtype(), db.defined());
        const auto conv =
            onednn::cached(key_of(Pass::kBackwardWeight, s, x.dtype(), db.defined()), [&] {
              const dnnl::convolution_backward_weights::primitive_desc desc(
                  onednn::engine(), dnnl::algorithm::convolution_direct, p.x, p.any_w, p.b, p.y,
                  p.stride, p.dilation, p.padding_low, p.padding_high, forward_desc(p, {}),
                  attributes());
              return onednn::Primitive{dnnl::convolution_backward_weights(desc),
                                       desc.diff_weights_desc(),
                                       onednn::make_reorder(desc.diff_weights_desc(), p.w),
                                       desc.scratchpad_desc(), desc.impl_info_str()};
            });
        const Tensor packed = conv->reorder ? onednn::scratch(conv->weights) : dw;
        const memory gradient = onednn::memory(packed, conv->weights);
        std::unordered_map<int, memory> arguments = {{DNNL_ARG_SRC, onednn::memory(x, p.x)},
                                                     {DNNL_ARG_DIFF_DST, onednn::memory(dy, p.y)},
                                                     {DNNL_ARG_DIFF_WEIGHTS, gradient}};
        if (db.defined()) arguments[DNNL_ARG_DIFF_BIAS] = onednn::memory(db, p.b);
        execute(*conv, std::move(arguments));
        if (conv->reorder) {
          conv->reorder.execute(onednn::stream(), {{DNNL_ARG_FROM, gradient},
                                                   {DNNL_ARG_TO, onednn::memory(dw, p.w)}});
        }
      },
      "[conv2d] gradient of weight ", dw.shape(), ", images ", x.shape());
}

}  // namespace invp::cpu
