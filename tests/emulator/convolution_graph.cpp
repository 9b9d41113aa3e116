// Replaces cuDNN's graphs of convolutions (engine/ops/conv/conv2d_cudnn_cuda.cpp): computes them by
// the definition, on the CPU. As cuDNN does, it needs aligned addresses and the whole workspace,
// offers plans that cannot be built, and has no plan at all for some problems, so that tests reach
// what the engine does then.
#include <algorithm>
#include <cstring>

#include "cudnn.h"
#include "emulator.h"
#include "engine/ops/conv/conv2d_cudnn_cuda.h"

namespace invp::cuda {

namespace {

constexpr std::int64_t kWorkspace = 4096;

/// Elements of either type, read and written as f32.
struct Elements {
  DType dtype;
  void* at;

  float get(std::int64_t i) const {
    return dtype == DType::kF32 ? static_cast<const float*>(at)[i]
                                : static_cast<float>(static_cast<const BFloat16*>(at)[i]);
  }
  void set(std::int64_t i, float value) const {
    if (dtype == DType::kF32) {
      static_cast<float*>(at)[i] = value;
    } else {
      static_cast<BFloat16*>(at)[i] = BFloat16(value);
    }
  }
};

/// Calls visit(image element, filter element, output element) for every product of the definition.
template <class Visit>
void for_each_product(const Conv2dShape& s, const Visit& visit) {
  const auto [stride, padding, dilation, groups] = s.params;
  for (std::int64_t y = 0; y < s.N * s.P * s.Q * s.K; ++y) {
    const std::int64_t k = y % s.K;
    const std::int64_t row = y / s.K / s.Q % s.P * stride - padding;
    const std::int64_t column = y / s.K % s.Q * stride - padding;
    const std::int64_t image = y / s.K / s.Q / s.P * s.H;
    for (std::int64_t tap = 0; tap < s.R * s.S; ++tap) {
      const std::int64_t h = row + tap / s.S * dilation;
      const std::int64_t w = column + tap % s.S * dilation;
      if (h < 0 || h >= s.H || w < 0 || w >= s.W) continue;
      for (std::int64_t c = 0; c < s.C; ++c) {
        visit(((image + h) * s.W + w) * s.C + c, (k * s.R * s.S + tap) * s.C + c, y);
      }
    }
  }
}

}  // namespace

struct ConvolutionGraph::Impl {
  ConvolutionProblem problem;
  std::string taken;

  std::int64_t workspace_bytes() const { return taken == "large" ? kWorkspace : 0; }
  void run(const ConvolutionOperands& operands, void* workspace) const;
};

ConvolutionGraph::ConvolutionGraph(const ConvolutionProblem& problem, cudnnContext*)
    : impl_(std::make_unique<Impl>(Impl{.problem = problem, .taken = {}})) {}
ConvolutionGraph::~ConvolutionGraph() = default;

std::vector<std::string> ConvolutionGraph::plans() {
  const Conv2dParams& params = impl_->problem.shape.params;
  const bool fused = impl_->problem.bias || impl_->problem.relu;
  if (params.groups > 1 || params.dilation > 1 || (fused && params.stride > 1)) return {};
  return {"not to be had", "small", "large"};
}

bool ConvolutionGraph::take(const std::string& plan) {
  if (plans().empty() || (plan != "small" && plan != "large")) return false;
  impl_->taken = plan;
  return true;
}

std::int64_t ConvolutionGraph::workspace_bytes() const {
  return impl_->workspace_bytes();
}

void ConvolutionGraph::run(cudnnContext* handle, const ConvolutionOperands& operands,
                           void* workspace) const {
  if (!emulator::must_queue(handle->stream)) return impl_->run(operands, workspace);
  // Plans are kept as long as the program runs, but a measured one may be gone when its turn comes.
  emulator::queue(handle->stream,
                  [impl = *impl_, operands, workspace] { impl.run(operands, workspace); });
}

void ConvolutionGraph::Impl::run(const ConvolutionOperands& operands, void* workspace) const {
  for (const void* address : {operands.images, operands.filters, operands.outputs, operands.bias}) {
    CHECK(reinterpret_cast<std::uintptr_t>(address) % 16 == 0, "[emulated cuDNN] misaligned");
  }
  CHECK((workspace == nullptr) == (workspace_bytes() == 0), "[emulated cuDNN] workspace");
  if (workspace != nullptr) std::memset(workspace, 0xFF, kWorkspace);

  const auto& [pass, s, dtype, allow_tf32, bias, relu] = problem;
  const Elements images{dtype, operands.images};
  const Elements filters{dtype, operands.filters};
  const Elements outputs{dtype, operands.outputs};
  const auto write = [&](const Elements& result, std::int64_t count, const auto& sum) {
    std::vector<float> sums(static_cast<std::size_t>(count));
    for_each_product(
        s, [&](std::int64_t x, std::int64_t w, std::int64_t y) { sum(sums.data(), x, w, y); });
    for (std::int64_t i = 0; i < count; ++i) {
      float value = sums[static_cast<std::size_t>(i)];
      if (bias) value += Elements{dtype, operands.bias}.get(i % s.K);
      result.set(i, relu && value < 0 ? 0 : value);
    }
  };
  switch (pass) {
    case ConvolutionPass::kForward:
      return write(outputs, s.N * s.P * s.Q * s.K, [&](float* sums, auto x, auto w, auto y) {
        sums[y] += images.get(x) * filters.get(w);
      });
    case ConvolutionPass::kBackwardInput:
      return write(images, s.N * s.H * s.W * s.C, [&](float* sums, auto x, auto w, auto y) {
        sums[x] += outputs.get(y) * filters.get(w);
      });
    case ConvolutionPass::kBackwardWeight:
      return write(filters, s.K * s.R * s.S * s.C, [&](float* sums, auto x, auto w, auto y) {
        sums[w] += outputs.get(y) * images.get(x);
      });
  }
}

}  // namespace invp::cuda
