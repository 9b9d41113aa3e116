#include "engine/core/upload_ring.h"

#include <utility>

#include "engine/core/error.h"
#ifdef INVP_CUDA
#include "engine/core/cuda_copy_ring.h"
#else
namespace invp::cuda {
class CopyRing {};  // this build has none
}  // namespace invp::cuda
#endif

namespace invp {

UploadRing::UploadRing(Device device) : device_(device) {
  if (device == kCpu) return;
#ifdef INVP_CUDA
  ring_ = std::make_unique<cuda::CopyRing>(device, kSlots);
#else
  fail("[upload] no ", device, " in this build");
#endif
}

UploadRing::~UploadRing() = default;

void UploadRing::begin(const Tensor& host) {
  CHECK(host.device() == kCpu, "[upload] brings tensors of the host, got one on ", host.device());
#ifdef INVP_CUDA
  if (ring_ != nullptr) return ring_->begin(host);
#endif
  begun_.push_back(host);
}

Tensor UploadRing::take() {
#ifdef INVP_CUDA
  if (ring_ != nullptr) return ring_->take();
#endif
  CHECK(!begun_.empty(), "[upload] taken before it was begun");
  Tensor next = std::move(begun_.front());
  begun_.pop_front();
  return next;
}

}  // namespace invp
