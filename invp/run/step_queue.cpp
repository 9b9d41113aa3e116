#include "invp/run/step_queue.h"

#include "engine/core/error.h"

namespace invp {

StepQueue::StepQueue(int losses, Device device) : device_(device), log_(kMost, losses, device) {}

void StepQueue::begin() {
  CHECK(!full(), "[run] ", kMost, " steps are queued: finish() them first");
  while (ends_.size() >= kAhead) {
    ends_.front().wait();
    ends_.pop_front();
  }
}

void StepQueue::end() {
  ends_.emplace_back(device_);
  ++queued_;
}

std::vector<StepLosses> StepQueue::finish() {
  queued_ = 0;
  ends_.clear();
  return log_.take();
}

}  // namespace invp
