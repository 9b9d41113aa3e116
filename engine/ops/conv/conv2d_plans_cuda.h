// The convolutions of one GPU by cuDNN: its handle, and the plan of every problem so far. Part of
// the GPU's context: context.part<ConvolutionPlans>().
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "engine/core/cuda_context.h"
#include "engine/ops/conv/conv2d_cudnn_cuda.h"
#include "engine/plans/plan_file.h"

namespace invp::cuda {

/// Environment variables:
///   INVP_AUTOTUNE=0            take cuDNN's first guess instead of measuring the first few, once a
///                              machine
/// A deterministic run (core/numerics.h) does as with 0: which plan was fastest differs from run to
/// run, and plans differ in their bits.
class ConvolutionPlans {
 public:
  explicit ConvolutionPlans(Context& gpu);
  ~ConvolutionPlans();
  ConvolutionPlans(const ConvolutionPlans&) = delete;
  ConvolutionPlans& operator=(const ConvolutionPlans&) = delete;

  /// Computes the problem on the context's stream; false, and nothing is done, if cuDNN has no plan
  /// for it. The first call for a problem chooses its plan.
  bool run(const ConvolutionProblem& problem, const ConvolutionOperands& operands);

 private:
  /// Null: no plan.
  ConvolutionGraph* graph_of(const ConvolutionProblem& problem,
                             const ConvolutionOperands& operands);
  std::unique_ptr<ConvolutionGraph> choose(const ConvolutionProblem& problem,
                                           const ConvolutionOperands& operands);
  bool capturing() const;

  Context& gpu_;
  cudnnContext* handle_ = nullptr;
  std::optional<PlanFile> run_file_;
  std::optional<PlanFile> shared_file_;
  std::map<ConvolutionProblem, std::unique_ptr<ConvolutionGraph>> graphs_;
};

}  // namespace invp::cuda
