// Convolutions as graphs of cuDNN. Only one source file includes cuDNN's frontend, which takes most
// of a minute to compile.
#pragma once

#include <compare>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/error.h"
#include "engine/ops/conv/conv2d.h"

struct cudnnContext;

namespace invp::cuda {

enum class ConvolutionPass : std::uint8_t { kForward, kBackwardInput, kBackwardWeight };

/// One convolution: everything that decides which plans there are.
struct ConvolutionProblem {
  ConvolutionPass pass;
  Conv2dShape shape;
  DType dtype;              ///< of all tensors; sums are f32
  bool allow_tf32 = false;  ///< may operands of f32 be rounded to TF32?
  bool bias = false;        ///< forward: outputs = relu?(convolution + bias?)
  bool relu = false;

  friend auto operator<=>(const ConvolutionProblem&, const ConvolutionProblem&) = default;
};

/// The problem in words, as plan files have it: "forward bf16, images 128x56x56x64, ...".
inline std::string name_of(const ConvolutionProblem& problem) {
  const Conv2dShape& s = problem.shape;
  const char* pass = problem.pass == ConvolutionPass::kForward         ? "forward"
                     : problem.pass == ConvolutionPass::kBackwardInput ? "backward input"
                                                                       : "backward weight";
  const char* sums = problem.allow_tf32 ? "tf32" : invp::name_of(problem.dtype);
  return message(pass, problem.bias ? " bias" : "", problem.relu ? " relu" : "", ' ', sums,
                 ", images ", s.N, 'x', s.H, 'x', s.W, 'x', s.C, ", filters ", s.K, 'x', s.R, 'x',
                 s.S, ", stride ", s.params.stride, ", padding ", s.params.padding, ", dilation ",
                 s.params.dilation, ", groups ", s.params.groups);
}

/// Addresses on the GPU, multiples of 16. Each pass reads two of the first three and writes the
/// third, which is none of the others.
struct ConvolutionOperands {
  void* images = nullptr;   ///< x or dx
  void* filters = nullptr;  ///< w or dw
  void* outputs = nullptr;  ///< y or dy
  void* bias = nullptr;
};

/// A problem as cuDNN sees it, and the plan that was taken for it. Offered are only plans that give
/// the same bits every time and that multiply f32 as f32 unless the problem allows TF32, and
/// whose kernels come compiled: cuDNN would compile the others on every start.
class ConvolutionGraph {
 public:
  /// For the GPU that the handle belongs to.
  ConvolutionGraph(const ConvolutionProblem& problem, cudnnContext* handle);
  /// For a GPU that need not be here, described by cuDNN's device properties in JSON.
  ConvolutionGraph(const ConvolutionProblem& problem, std::string_view device_properties);
  ~ConvolutionGraph();
  ConvolutionGraph(const ConvolutionGraph&) = delete;
  ConvolutionGraph& operator=(const ConvolutionGraph&) = delete;

  /// What cuDNN's heuristics name, best guess first; nothing where it refuses the problem.
  std::vector<std::string> plans();
  /// Makes run() use the plan of that name; false if it is not among plans(), or is one of those
  /// that are not offered, or cuDNN cannot build it.
  bool take(const std::string& plan);
  /// Of the plan taken.
  std::int64_t workspace_bytes() const;
  void run(cudnnContext* handle, const ConvolutionOperands& operands, void* workspace) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace invp::cuda
