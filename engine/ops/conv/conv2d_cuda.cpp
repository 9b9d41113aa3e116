// Which kernels convolve: cuDNN's, wherever it has a plan, or else the plain ones.
#include "engine/core/numerics.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/basic/matmul.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/conv/conv2d_plain_cuda.h"
#include "engine/ops/conv/conv2d_plans_cuda.h"

namespace invp::cuda {

namespace {

Tensor workspace_like(const Tensor& tensor) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty_like(tensor);
}

bool is_aligned(const Tensor& tensor) {
  return reinterpret_cast<std::uintptr_t>(tensor.raw()) % 16 == 0;
}

/// The tensor itself where cuDNN can read it, or a copy: slices may begin anywhere.
Tensor aligned(const Tensor& tensor) {
  if (is_aligned(tensor)) return tensor;
  const Tensor copy = workspace_like(tensor);
  copy.copy_from(tensor);
  return copy;
}

/// The bias in the type that cuDNN's fused kernels need.
Tensor in_type_of(const Tensor& y, const Tensor& b) {
  if (b.dtype() == y.dtype()) return b;
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor rounded = Tensor::empty(b.shape(), y.dtype(), b.device());
  cast(b, rounded);
  return rounded;
}

ConvolutionProblem problem(ConvolutionPass pass, const Conv2dShape& s, DType dtype) {
  return {.pass = pass,
          .shape = s,
          .dtype = dtype,
          .allow_tf32 = dtype == DType::kF32 && numerics().allow_tf32};
}

/// False if cuDNN has no plan.
bool run(const ConvolutionProblem& problem, const ConvolutionOperands& operands, Device device) {
  return context(device).part<ConvolutionPlans>().run(problem, operands);
}

/// y = relu?(convolution + b?)
bool forward_by_cudnn(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                      const Tensor& y, bool relu) {
  if (!is_aligned(y)) return false;
  ConvolutionProblem forward = problem(ConvolutionPass::kForward, s, y.dtype());
  forward.bias = b.defined();
  forward.relu = relu;
  const Tensor images = aligned(x);
  const Tensor filters = aligned(w);
  const Tensor bias = b.defined() ? aligned(in_type_of(y, b)) : Tensor();
  return run(forward,
             {.images = images.raw(),
              .filters = filters.raw(),
              .outputs = y.raw(),
              .bias = bias.defined() ? bias.raw() : nullptr},
             y.device());
}

}  // namespace

void conv2d_forward(const Conv2dShape& s, const Tensor& x, const Tensor& w, const Tensor& b,
                    const Tensor& y, Conv2dFusion fusion) {
  if (y.numel() == 0) return;
  if (fusion.add) {
    // cuDNN adds and rectifies in the same kernel only out of place, and only in kernels that it
    // compiles on every start: a pass of our own over y costs less.
    const Tensor sum = workspace_like(y);
    if (forward_by_cudnn(s, x, w, {}, sum, false)) return finish_forward(sum, b, fusion, y);
  } else {
    if (forward_by_cudnn(s, x, w, b, y, fusion.relu)) return;
    const bool fused = b.defined() || fusion.relu;
    if (fused && forward_by_cudnn(s, x, w, {}, y, false)) return finish_forward(y, b, fusion, y);
  }
  plain_forward(s, x, w, b, y, fusion);
}

void conv2d_backward_input(const Conv2dShape& s, const Tensor& dy, const Tensor& w,
                           const Tensor& dx) {
  if (dx.numel() == 0) return;
  const Tensor outputs = aligned(dy);
  const Tensor filters = aligned(w);
  const bool done =
      dy.numel() > 0 && is_aligned(dx) &&
      run(problem(ConvolutionPass::kBackwardInput, s, dx.dtype()),
          {.images = dx.raw(), .filters = filters.raw(), .outputs = outputs.raw()}, dx.device());
  if (!done) plain_backward_input(s, dy, w, dx);
}

void conv2d_backward_weight(const Conv2dShape& s, const Tensor& dy, const Tensor& x,
                            const Tensor& dw, const Tensor& db) {
  const Tensor outputs = aligned(dy);
  const Tensor images = aligned(x);
  const bool done =
      dy.numel() > 0 && x.numel() > 0 && is_aligned(dw) &&
      run(problem(ConvolutionPass::kBackwardWeight, s, dw.dtype()),
          {.images = images.raw(), .filters = dw.raw(), .outputs = outputs.raw()}, dw.device());
  if (!done) plain_backward_weight(s, dy, x, dw);
  if (db.defined()) column_sums(dy.view({s.N * s.P * s.Q, s.K}), db);
}

}  // namespace invp::cuda
