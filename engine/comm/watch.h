// What a rank tells of its collective calls, and asks while it waits in one.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>

#include "engine/comm/communicator.h"

namespace invp {

using Seconds = std::chrono::duration<double>;

struct CollectiveCall {
  const char* operation = "";  ///< "all_reduce"
  const char* name = "";       ///< "gradients"
  std::int64_t bytes = 0;
  DType dtype = DType::kF32;
};

class Watch {
 public:
  virtual ~Watch() = default;
  virtual void entered(const CollectiveCall& call) = 0;
  virtual void left(const CollectiveCall& call) = 0;
  /// Called every few milliseconds of a wait. Throws Error once it must end.
  virtual void waiting(const CollectiveCall& call, Seconds since) = 0;
};

/// Ends a wait at a deadline, knowing nothing of the other ranks.
std::shared_ptr<Watch> deadline_watch(Ranks ranks, Seconds deadline);

}  // namespace invp
