#include "engine/ops/conv/conv2d_plans_cuda.h"

#include <cudnn.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <limits>
#include <string_view>

#include "engine/core/memory.h"
#include "engine/core/numerics.h"
#include "engine/core/tensor.h"
#include "engine/plans/plan_choice.h"

namespace invp::cuda {

namespace {

void check_cudnn(cudnnStatus_t status, const char* call) {
  if (status == CUDNN_STATUS_SUCCESS) [[likely]]
    return;
  std::array<char, 1024> reason{};
  cudnnGetLastErrorString(reason.data(), reason.size());
  fail_call(call, message(cudnnGetErrorString(status), ' ', reason.data()));
}

/// Where choices hold: another library numbers its engines differently, another GPU ranks them
/// differently.
std::string place_of(const Context& gpu) {
  int driver = 0;
  CUDA_CHECK(cudaDriverGetVersion(&driver));
  return message("cuDNN ", cudnnGetVersion(), ", driver ", driver, ", ", gpu.properties().name,
                 ", ", gpu.multiprocessors(), " multiprocessors");
}

Tensor scratch(std::int64_t bytes, Device device) {
  const MemoryScope scope(MemoryUse::kWorkspace);
  return Tensor::empty({bytes}, DType::kU8, device);
}

/// A workspace of no bytes is no address.
void* address(const Tensor& workspace) {
  return workspace.numel() == 0 ? nullptr : workspace.raw();
}

bool says(const char* variable, std::string_view word) {
  const char* const value = std::getenv(variable);
  return value != nullptr && value == word;
}

bool autotune_is_off() {
  return says("INVP_AUTOTUNE", "0");
}
class Timer {
 public:
  Timer() {
    for (cudaEvent_t& event : events_) CUDA_CHECK(cudaEventCreate(&event));
  }
  ~Timer() {
    for (const cudaEvent_t event : events_) cudaEventDestroy(event);
  }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  template <class Body>
  double microseconds(cudaStream_t stream, const Body& body) {
    CUDA_CHECK(cudaEventRecord(events_[0], stream));
    body();
    CUDA_CHECK(cudaEventRecord(events_[1], stream));
    CUDA_CHECK(cudaEventSynchronize(events_[1]));
    float milliseconds = 0;
    CUDA_CHECK(cudaEventElapsedTime(&milliseconds, events_[0], events_[1]));
    return 1000.0 * static_cast<double>(milliseconds);
  }

 private:
  std::array<cudaEvent_t, 2> events_{};
};

/// Measures plans on the caller's inputs, into memory of its own.
class MeasuredPlans : public PlanOffers {
 public:
  MeasuredPlans(Context& gpu, cudnnContext* handle, const ConvolutionProblem& problem,
                const ConvolutionOperands& operands, ConvolutionGraph& graph)
      : gpu_(gpu), handle_(handle), problem_(problem), operands_(operands), graph_(graph) {}

  std::vector<std::string> list() override { return graph_.plans(); }
  bool take(const std::string& plan) override { return graph_.take(plan); }

  double microseconds() override {
    const Tensor result = scratch(result_bytes(), gpu_.device());
    const Tensor workspace = scratch(graph_.workspace_bytes(), gpu_.device());
    ConvolutionOperands operands = operands_;
    written(operands) = result.raw();
    return fastest_of([&] { graph_.run(handle_, operands, address(workspace)); });
  }

 private:
  template <class Run>
  double fastest_of(const Run& run) {
    constexpr int kRuns = 3;
    // Twice the second-level cache, written before each run, so that no run finds its inputs there.
    const Tensor flood = scratch(2L * gpu_.properties().l2CacheSize, gpu_.device());
    run();  // loads its kernels
    double fastest = std::numeric_limits<double>::infinity();
    for (int i = 0; i < kRuns; ++i) {
      fill_bytes(flood.raw(), i, flood.nbytes(), gpu_.device());
      fastest = std::min(fastest, timer_.microseconds(gpu_.stream(), run));
    }
    return fastest;
  }

  std::int64_t result_bytes() const {
    const Conv2dShape& s = problem_.shape;
    const auto size = static_cast<std::int64_t>(size_of(problem_.dtype));
    switch (problem_.pass) {
      case ConvolutionPass::kForward: return s.N * s.P * s.Q * s.K * size;
      case ConvolutionPass::kBackwardInput: return s.N * s.H * s.W * s.C * size;
      case ConvolutionPass::kBackwardWeight: return s.K * s.R * s.S * s.C / s.params.groups * size;
    }
    return 0;
  }

  void*& written(ConvolutionOperands& operands) const {
    switch (problem_.pass) {
      case ConvolutionPass::kBackwardInput: return operands.images;
      case ConvolutionPass::kBackwardWeight: return operands.filters;
      case ConvolutionPass::kForward: break;
    }
    return operands.outputs;
  }

  Context& gpu_;
  cudnnContext* handle_;
  const ConvolutionProblem& problem_;
  const ConvolutionOperands& operands_;
  ConvolutionGraph& graph_;
  Timer timer_;
};

}  // namespace

ConvolutionPlans::ConvolutionPlans(Context& gpu) : gpu_(gpu) {
  check_cudnn(cudnnCreate(&handle_), "cudnnCreate");
  check_cudnn(cudnnSetStream(handle_, gpu.stream()), "cudnnSetStream");
  const std::string place = place_of(gpu);
  const GivenPlans& given = given_plans();
  if (!run_plan_file().empty())
    run_file_.emplace(run_plan_file(), place);
  else if (given.given)
    run_file_.emplace(PlanFile::given(given.of_run, place));
  // What other runs found fastest must not decide what a deterministic one computes.
  if (numerics().deterministic || autotune_is_off()) return;
  if (given.given)
    shared_file_.emplace(PlanFile::given(given.of_user, place));
  else if (!user_plan_file().empty())
    shared_file_.emplace(user_plan_file(), place);
}

ConvolutionPlans::~ConvolutionPlans() {
  graphs_.clear();
  if (handle_ != nullptr) cudnnDestroy(handle_);
}

bool ConvolutionPlans::capturing() const {
  cudaStreamCaptureStatus status{};
  CUDA_CHECK(cudaStreamIsCapturing(gpu_.stream(), &status));
  return status != cudaStreamCaptureStatusNone;
}

std::unique_ptr<ConvolutionGraph> ConvolutionPlans::choose(const ConvolutionProblem& problem,
                                                           const ConvolutionOperands& operands) {
  auto graph = std::make_unique<ConvolutionGraph>(problem, handle_);
  MeasuredPlans offers(gpu_, handle_, problem, operands, *graph);
  const PlanPolicy policy{
      .run = run_file_ ? &*run_file_ : nullptr,
      .shared = shared_file_ ? &*shared_file_ : nullptr,
      .measure =
          !numerics().deterministic && !autotune_is_off() && !given_plans().given && !capturing(),
  };
  if (!choose_plan(name_of(problem), offers, policy).exists()) return nullptr;
  return graph;
}

ConvolutionGraph* ConvolutionPlans::graph_of(const ConvolutionProblem& problem,
                                             const ConvolutionOperands& operands) {
  const auto found = graphs_.find(problem);
  if (found != graphs_.end()) return found->second.get();
  return (graphs_[problem] = choose(problem, operands)).get();
}

bool ConvolutionPlans::run(const ConvolutionProblem& problem, const ConvolutionOperands& operands) {
  const ConvolutionGraph* const graph = graph_of(problem, operands);
  if (graph == nullptr) return false;
  const Tensor workspace = scratch(graph->workspace_bytes(), gpu_.device());
  graph->run(handle_, operands, address(workspace));
  return true;
}

}  // namespace invp::cuda
