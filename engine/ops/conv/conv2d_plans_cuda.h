// The convolutions of one GPU by cuDNN: its handle, and the plan of every problem met so far. Part
// of the GPU's context: context.part<ConvolutionPlans>().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "engine/core/cuda_context.h"
#include "engine/ops/conv/conv2d_cudnn_cuda.h"
#include "engine/plans/plan_file.h"

namespace invp::cuda {

/// What a process that computes on a GPU may say of plans:
///   INVP_AUTOTUNE=0            take cuDNN's first guess instead of measuring the first few, once a
///                              machine
///   INVP_JOIN_PASSES=measure   measure kernels that join passes of several operations against one
///                              operation after the other; else they are taken where that was done
///                              before: compiling them to try them takes a minute
///   INVP_JOIN_PASSES=always    take them wherever there are any
///   INVP_JOIN_PASSES=never
/// A deterministic run (core/numerics.h) does as with 0 and never: what was fastest is an accident,
/// and what is compiled at run time is not known to give the same bits everywhere.
class ConvolutionPlans {
 public:
  explicit ConvolutionPlans(Context& gpu);
  ~ConvolutionPlans();
  ConvolutionPlans(const ConvolutionPlans&) = delete;
  ConvolutionPlans& operator=(const ConvolutionPlans&) = delete;

  /// Computes the problem on the context's stream; false, and nothing is done, if cuDNN has no plan
  /// for it. The first call for a problem chooses its plan.
  bool run(const ConvolutionProblem& problem, const ConvolutionOperands& operands);

  /// What a problem that joins passes is measured against, by calls that may be made any number of
  /// times.
  struct Alternative {
    std::function<void()> apart;      ///< everything, by one operation after the other
    std::function<void()> remainder;  ///< what the problem leaves to do
  };
  /// run() for a problem that joins passes: false also where `apart` was measured to be faster, and
  /// where nothing was measured.
  bool run_joined(const ConvolutionProblem& problem, const ConvolutionOperands& operands,
                  const Alternative& alternative);

 private:
  /// Null: no plan.
  ConvolutionGraph* graph_of(const ConvolutionProblem& problem, const ConvolutionOperands& operands,
                             const Alternative* alternative);
  std::unique_ptr<ConvolutionGraph> choose(const ConvolutionProblem& problem,
                                           const ConvolutionOperands& operands,
                                           const Alternative* alternative);
  bool run(const ConvolutionProblem& problem, const ConvolutionOperands& operands,
           const Alternative* alternative);
  bool capturing() const;

  Context& gpu_;
  cudnnContext* handle_ = nullptr;
  std::optional<PlanFile> run_file_;
  std::optional<PlanFile> shared_file_;
  std::map<ConvolutionProblem, std::unique_ptr<ConvolutionGraph>> graphs_;
};

}  // namespace invp::cuda
