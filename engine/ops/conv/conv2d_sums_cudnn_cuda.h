// Sums over channels in a graph of cuDNN. The frontend has a node for them, but that one asks for
// arithmetic in a type which it takes from the wrong enumeration, and cuDNN refuses; here it is
// f32. Included by conv2d_cudnn_cuda.cpp alone, behind the frontend.
#pragma once

#include <cudnn_frontend.h>

#include <memory>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace invp::cuda {

using TensorHandle = std::shared_ptr<cudnn_frontend::graph::Tensor_attributes>;

/// sums = sum over all but the channels of x, squares = that of x²; f32 (1, C, 1, 1) each. All
/// three have numbers and extents already.
class SumsNode : public cudnn_frontend::graph::INode {
 public:
  SumsNode(TensorHandle x, TensorHandle sums, TensorHandle squares,
           const cudnn_frontend::detail::Context& graph)
      : INode(graph), x_(std::move(x)), sums_(std::move(sums)), squares_(std::move(squares)) {}

  Type getType() override { return Type::GENSTATS; }

 private:
  using Status = cudnn_frontend::error_t;
  using Tensors = std::unordered_map<std::int64_t, std::shared_ptr<cudnn_frontend::Tensor>>;

  Status infer_properties_node() override { return {}; }

  Status collect_tensor_attributes_node(std::vector<TensorHandle>& all) const override {
    all.insert(all.end(), {x_, sums_, squares_});
    return {};
  }

  Status create_cudnn_tensors_node(Tensors& tensors) const override {
    for (const TensorHandle& tensor : {x_, sums_, squares_}) {
      const Status status = cudnn_frontend::detail::create_cudnn_tensor(tensor, tensors);
      if (status.is_bad()) return status;
    }
    return {};
  }

  Status create_cudnn_operations(std::unordered_set<std::int64_t>& addresses,
                                 std::vector<std::shared_ptr<cudnn_frontend::Operation>>&,
                                 cudnn_frontend::graph::managed_backend_descriptor_t& operations,
                                 Tensors& tensors) const override {
    const auto operation =
        cudnn_frontend::make_shared_backend_pointer(CUDNN_BACKEND_OPERATION_GEN_STATS_DESCRIPTOR);
    cudnnStatus_t status = operation->get_status();
    const auto set = [&](cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
                         const void* value) {
      if (status != CUDNN_STATUS_SUCCESS) return;
      status = cudnnBackendSetAttribute(operation->get_backend_descriptor(), name, type, 1, value);
    };
    const auto set_tensor = [&](cudnnBackendAttributeName_t name, const TensorHandle& tensor) {
      cudnnBackendDescriptor_t descriptor =
          tensors.at(tensor->get_uid())->get_desc()->get_backend_descriptor();
      set(name, CUDNN_TYPE_BACKEND_DESCRIPTOR, &descriptor);
    };
    const cudnnGenStatsMode_t mode = CUDNN_GENSTATS_SUM_SQSUM;
    const cudnnDataType_t arithmetic = CUDNN_DATA_FLOAT;
    set(CUDNN_ATTR_OPERATION_GENSTATS_MODE, CUDNN_TYPE_GENSTATS_MODE, &mode);
    set(CUDNN_ATTR_OPERATION_GENSTATS_MATH_PREC, CUDNN_TYPE_DATA_TYPE, &arithmetic);
    set_tensor(CUDNN_ATTR_OPERATION_GENSTATS_XDESC, x_);
    set_tensor(CUDNN_ATTR_OPERATION_GENSTATS_SUMDESC, sums_);
    set_tensor(CUDNN_ATTR_OPERATION_GENSTATS_SQSUMDESC, squares_);
    if (status == CUDNN_STATUS_SUCCESS) {
      status = cudnnBackendFinalize(operation->get_backend_descriptor());
    }
    if (status != CUDNN_STATUS_SUCCESS) {
      return {cudnn_frontend::error_code_t::CUDNN_BACKEND_API_FAILED, "sums over channels"};
    }
    operations.push_back(operation);
    for (const TensorHandle& tensor : {x_, sums_, squares_}) addresses.insert(tensor->get_uid());
    return {};
  }

  TensorHandle x_, sums_, squares_;
};

class GraphWithSums : public cudnn_frontend::graph::Graph {
 public:
  void sums(TensorHandle x, TensorHandle sums, TensorHandle squares) {
    sub_nodes.emplace_back(
        std::make_shared<SumsNode>(std::move(x), std::move(sums), std::move(squares), context));
  }
};

}  // namespace invp::cuda
