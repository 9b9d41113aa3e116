#include "engine/ops/conv/conv2d_cudnn_cuda.h"

// Plans are kept by name: the frontend's JSON library is not needed.
#define CUDNN_FRONTEND_SKIP_JSON_LIB
#include <cudnn_frontend.h>

#include <algorithm>
#include <array>
#include <unordered_map>

#include "engine/core/cuda_context.h"

namespace invp::cuda {

namespace {

namespace fe = cudnn_frontend;
using Graph = fe::graph::Graph;
using TensorHandle = std::shared_ptr<fe::graph::Tensor_attributes>;
using Extents = std::vector<std::int64_t>;

/// The names of tensors when a graph runs.
enum Uid : std::int64_t { kImages = 1, kFilters, kOutputs, kBias };

fe::DataType_t type_of(DType dtype) {
  return dtype == DType::kBF16 ? fe::DataType_t::BFLOAT16 : fe::DataType_t::FLOAT;
}

/// Extents in cuDNN's order of a tensor that lies (n, h, w, c).
Extents extents(std::int64_t n, std::int64_t h, std::int64_t w, std::int64_t c) {
  return {n, c, h, w};
}
Extents strides(const Extents& extents) {
  const std::int64_t c = extents[1], h = extents[2], w = extents[3];
  return {h * w * c, 1, w * c, c};
}

class Builder {
 public:
  Builder(const ConvolutionProblem& problem, Graph& graph) : problem_(problem), graph_(graph) {}

  void build() {
    const auto& [N, H, W, C, K, R, S, P, Q, params] = problem_.shape;
    const Extents images = extents(N, H, W, C);
    const Extents filters = extents(K, R, S, C / params.groups);
    const Extents outputs = extents(N, P, Q, K);
    // Sums, and values between fused operations, are f32.
    graph_.set_io_data_type(type_of(problem_.dtype))
        .set_intermediate_data_type(fe::DataType_t::FLOAT)
        .set_compute_data_type(fe::DataType_t::FLOAT);
    switch (problem_.pass) {
      case ConvolutionPass::kForward:
        result(epilogue(graph_.conv_fprop(input(kImages, images), input(kFilters, filters),
                                          window<fe::graph::Conv_fprop_attributes>())),
               kOutputs, outputs);
        break;
      case ConvolutionPass::kBackwardInput:
        result(graph_.conv_dgrad(input(kOutputs, outputs), input(kFilters, filters),
                                 window<fe::graph::Conv_dgrad_attributes>()),
               kImages, images);
        break;
      case ConvolutionPass::kBackwardWeight:
        result(graph_.conv_wgrad(input(kOutputs, outputs), input(kImages, images),
                                 window<fe::graph::Conv_wgrad_attributes>()),
               kFilters, filters);
        break;
    }
  }

 private:
  template <class Attributes>
  Attributes window() const {
    const auto [stride, padding, dilation, groups] = problem_.shape.params;
    return Attributes()
        .set_padding({padding, padding})
        .set_stride({stride, stride})
        .set_dilation({dilation, dilation});
  }

  TensorHandle input(Uid uid, const Extents& extents) {
    return graph_.tensor(fe::graph::Tensor_attributes()
                             .set_uid(uid)
                             .set_dim(extents)
                             .set_stride(strides(extents))
                             .set_data_type(type_of(problem_.dtype)));
  }

  static void result_shape(const TensorHandle& tensor, const Extents& extents) {
    tensor->set_dim(extents).set_stride(strides(extents));
  }

  void result(const TensorHandle& tensor, Uid uid, const Extents& extents) {
    result_shape(tensor, extents);
    tensor->set_uid(uid).set_output(true).set_data_type(type_of(problem_.dtype));
  }

  static fe::graph::Pointwise_attributes pointwise(fe::PointwiseMode_t mode) {
    return fe::graph::Pointwise_attributes().set_mode(mode);
  }

  TensorHandle epilogue(TensorHandle y) {
    const auto& s = problem_.shape;
    result_shape(y, extents(s.N, s.P, s.Q, s.K));
    if (problem_.bias) {
      y = graph_.pointwise(y, input(kBias, extents(1, 1, 1, s.K)),
                           pointwise(fe::PointwiseMode_t::ADD));
    }
    if (problem_.relu) y = graph_.pointwise(y, pointwise(fe::PointwiseMode_t::RELU_FWD));
    return y;
  }

  const ConvolutionProblem& problem_;
  Graph& graph_;
};

std::string words(fe::error_object status) {
  std::array<char, 1024> reason{};
  cudnnGetLastErrorString(reason.data(), reason.size());
  return message(status.get_message(), ' ', reason.data());
}

}  // namespace

struct ConvolutionGraph::Impl {
  ConvolutionProblem problem;
  Graph graph;
  bool understood = false;         ///< whether cuDNN takes such graphs at all
  std::vector<std::string> plans;  ///< their names, by the graph's numbers
  std::int64_t taken = -1;         ///< one of these numbers

  Impl(const ConvolutionProblem& what, cudnnContext* handle) : problem(what) {
    Builder(problem, graph).build();
    understood = graph.validate().is_good() && graph.build_operation_graph(handle).is_good();
  }

  Impl(const ConvolutionProblem& what, std::string_view properties) : problem(what) {
    const auto device = std::make_shared<fe::DeviceProperties>();
    const std::vector<std::uint8_t> bytes(properties.begin(), properties.end());
    const auto status = device->deserialize(bytes);
    CHECK(status.is_good(), "[conv2d] cuDNN cannot read the device properties: ", words(status));
    graph.set_device_properties(device);
    graph.set_sm_version(80);  // else the frontend asks a driver; only its norms look at it
    Builder(problem, graph).build();
    understood = graph.validate().is_good() && graph.build_operation_graph().is_good();
  }

  /// Asks cuDNN's heuristics, once.
  void find_plans() {
    if (!understood || !plans.empty()) return;
    for (const fe::HeurMode_t mode : {fe::HeurMode_t::A, fe::HeurMode_t::FALLBACK}) {
      if (graph.create_execution_plans({mode}).is_bad()) continue;
      while (std::ssize(plans) < graph.get_execution_plan_count()) {
        std::string name;
        if (graph.get_plan_name_at_index(std::ssize(plans), name).is_bad()) name.clear();
        plans.push_back(name);
      }
    }
    using Note = fe::NumericalNote_t;
    graph.deselect_numeric_notes({Note::NONDETERMINISTIC});
    graph.deselect_behavior_notes({fe::BehaviorNote_t::RUNTIME_COMPILATION});
    if (problem.dtype == DType::kF32 && !problem.allow_tf32) {
      graph.deselect_numeric_notes({Note::TENSOR_CORE, Note::DOWN_CONVERT_INPUTS});
    }
  }
};

ConvolutionGraph::ConvolutionGraph(const ConvolutionProblem& problem, cudnnContext* handle)
    : impl_(std::make_unique<Impl>(problem, handle)) {}
ConvolutionGraph::ConvolutionGraph(const ConvolutionProblem& problem,
                                   std::string_view device_properties)
    : impl_(std::make_unique<Impl>(problem, device_properties)) {}
ConvolutionGraph::~ConvolutionGraph() = default;

std::vector<std::string> ConvolutionGraph::plans() {
  impl_->find_plans();
  return impl_->plans;
}

bool ConvolutionGraph::take(const std::string& plan) {
  impl_->find_plans();
  const auto found = std::ranges::find(impl_->plans, plan);
  if (found == impl_->plans.end()) return false;
  const std::int64_t number = found - impl_->plans.begin();
  // Fails for those deselected, too.
  if (impl_->graph.build_plan_at_index(number).is_bad()) return false;
  impl_->taken = number;
  return true;
}

std::int64_t ConvolutionGraph::workspace_bytes() const {
  std::int64_t bytes = 0;
  const auto status = impl_->graph.get_workspace_size_plan_at_index(impl_->taken, bytes);
  if (status.is_bad()) fail_call("cuDNN's workspace query", words(status));
  return bytes;
}

void ConvolutionGraph::run(cudnnContext* handle, const ConvolutionOperands& operands,
                           void* workspace) const {
  std::unordered_map<std::int64_t, void*> addresses = {{kImages, operands.images},
                                                       {kFilters, operands.filters},
                                                       {kOutputs, operands.outputs},
                                                       {kBias, operands.bias}};
  const auto status =
      impl_->graph.execute_plan_at_index(handle, addresses, workspace, impl_->taken);
  if (status.is_bad()) fail_call("cuDNN's convolution", words(status));
}

}  // namespace invp::cuda
