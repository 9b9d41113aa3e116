#include "engine/core/recorded_work.h"

#include <utility>

#include "engine/core/error.h"
#ifdef INVP_CUDA
#include "engine/core/cuda_graph.h"
#else
namespace invp::cuda {
class Graph {};  // of which there are none in this build
}  // namespace invp::cuda
#endif

namespace invp {

RecordedWork::RecordedWork(std::shared_ptr<MemoryPool> pool) : pool_(std::move(pool)) {}
RecordedWork::~RecordedWork() = default;
RecordedWork::RecordedWork(RecordedWork&&) noexcept = default;
RecordedWork& RecordedWork::operator=(RecordedWork&&) noexcept = default;

bool RecordedWork::run(const std::function<void()>& work) {
  const Device device = device_of(*pool_);
#ifdef INVP_CUDA
  if (graph_ != nullptr) {
    graph_->launch();
    return true;
  }
  const MemoryPoolScope scope(pool_);
  if (device == kCpu || calls_ < kCalls || !refusal_.empty()) {
    ++calls_;
    work();
    return false;
  }
  refusal_ = cuda::why_nothing_is_recorded();
  if (refusal_.empty()) {
    try {
      graph_ = std::make_unique<cuda::Graph>(device, work);
    } catch (const Error& error) {
      refusal_ = error.what();
    }
  }
  if (graph_ == nullptr) {
    work();
  } else {
    graph_->launch();
  }
  return false;
#else
  CHECK(device == kCpu, "[recorded work] no ", device, " in this build");
  work();
  return false;
#endif
}

#ifndef INVP_CUDA
DeviceMark::DeviceMark(Device device) : device_(device) {}
void DeviceMark::wait() const {}
#endif

}  // namespace invp
