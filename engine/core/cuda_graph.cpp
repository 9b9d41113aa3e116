#include "engine/core/cuda_graph.h"

#include <cstdlib>
#include <string_view>

#include "engine/core/captured_work.h"
#include "engine/core/dispatch.h"

namespace invp::cuda {

namespace {

/// From here on the stream's work is captured. Only the relaxed mode lets the allocator take a
/// segment meanwhile.
void begin(const Context& gpu) {
  CUDA_CHECK(cudaStreamBeginCapture(gpu.stream(), cudaStreamCaptureModeRelaxed));
}

cudaGraph_t end(const Context& gpu) {
  cudaGraph_t graph = nullptr;
  CUDA_CHECK(cudaStreamEndCapture(gpu.stream(), &graph));
  return graph;
}

}  // namespace

Graph::Graph(Device device, const std::function<void()>& work) : gpu_(context(device)) {
  begin(gpu_);
  try {
    work();
  } catch (...) {
    cudaGraph_t part = nullptr;
    cudaStreamEndCapture(gpu_.stream(), &part);  // or the stream could not be used again
    if (part != nullptr) cudaGraphDestroy(part);
    cudaGetLastError();
    throw;
  }
  const cudaGraph_t graph = end(gpu_);
  const cudaError_t status = cudaGraphInstantiate(&graph_, graph, 0);
  cudaGraphDestroy(graph);
  check(status, "cudaGraphInstantiate");
}

Graph::~Graph() {
  cudaStreamSynchronize(gpu_.stream());
  cudaGraphExecDestroy(graph_);
}

void Graph::launch() const {
  enter(gpu_.device(), "captured work");
  CUDA_CHECK(cudaGraphLaunch(graph_, gpu_.stream()));
}

std::string why_nothing_is_captured() {
  if (std::getenv("INVP_CUDA_BLOCKING") != nullptr) return "INVP_CUDA_BLOCKING is set";
  const char* wanted = std::getenv("INVP_CUDA_GRAPHS");
  const bool off = wanted != nullptr && std::string_view(wanted) == "0";
  return off ? "INVP_CUDA_GRAPHS=0" : "";
}

}  // namespace invp::cuda

namespace invp {

DeviceMark::DeviceMark(Device device) : device_(device) {
  if (device == kCpu) return;
  const cuda::Context& gpu = cuda::context(device);
  cudaEvent_t event = nullptr;
  CUDA_CHECK(cudaEventCreateWithFlags(&event, cudaEventDisableTiming));
  event_.reset(event, cudaEventDestroy);
  CUDA_CHECK(cudaEventRecord(event, gpu.stream()));
}

void DeviceMark::wait() const {
  if (event_ == nullptr) return;
  cuda::enter(device_, "wait");
  cuda::wait_for(static_cast<cudaEvent_t>(event_.get()));
}

}  // namespace invp
