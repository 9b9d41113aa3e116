#include "engine/core/captured_work.h"

#include <utility>

#include "engine/core/error.h"
#ifdef INVP_CUDA
#include "engine/core/cuda_graph.h"
#else
namespace invp::cuda {
class Graph {};  // this build has none
}  // namespace invp::cuda
#endif

namespace invp {

CapturedWork::CapturedWork(std::shared_ptr<MemoryPool> pool) : pool_(std::move(pool)) {}
CapturedWork::~CapturedWork() = default;
CapturedWork::CapturedWork(CapturedWork&&) noexcept = default;
CapturedWork& CapturedWork::operator=(CapturedWork&&) noexcept = default;

bool CapturedWork::run(const std::function<void()>& work,
                       [[maybe_unused]] const std::function<bool(bool)>& agree) {
  const Device device = device_of(*pool_);
#ifdef INVP_CUDA
  if (graph_ != nullptr) {
    graph_->launch();
    return true;
  }
  const MemoryPoolScope scope(pool_);
  if (device == kCpu || calls_ < kCalls || !why_not_.empty()) {
    ++calls_;
    work();
    return false;
  }
  why_not_ = cuda::why_nothing_is_captured();
  if (why_not_.empty()) {
    try {
      graph_ = std::make_unique<cuda::Graph>(device, work);
    } catch (const Error& error) {
      why_not_ = error.what();
    }
  }
  if (agree && !agree(graph_ != nullptr)) {
    graph_.reset();
    if (why_not_.empty()) why_not_ = "another process cannot capture it";
  }
  if (graph_ == nullptr) {
    work();
  } else {
    graph_->launch();
  }
  return false;
#else
  CHECK(device == kCpu, "[captured work] no ", device, " in this build");
  work();
  return false;
#endif
}

#ifndef INVP_CUDA
DeviceMark::DeviceMark(Device device) : device_(device) {}
void DeviceMark::wait() const {}
#endif

}  // namespace invp
