// The communicators of NCCL that this process has, which live and end together.
#pragma once

#include <nccl.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/comm/watch.h"

namespace invp {

/// NCCL is never called by two threads, and never waits by itself: calls return at once, and are
/// asked after until they are queued.
class NcclWorld {
 public:
  static NcclWorld& get();

  /// Looks after the device's waits from now on, by this watch.
  void watch_by(std::shared_ptr<Watch> watch);
  void add(ncclComm_t comm);
  /// Aborts it where the others wait in vain.
  void remove(ncclComm_t comm);
  bool is_lost() const { return lost_; }

  /// Waits until a call is queued. Throws Error in NCCL's words, or what the watch throws; then
  /// everything is aborted.
  void settle(ncclComm_t comm, ncclResult_t result, const CollectiveCall& call);
  /// Throws, with everything aborted, if a communicator has failed or the watch ends the wait.
  void look(const CollectiveCall& call, Seconds since);
  /// Ends all calls that are under way on this rank.
  void abort_all();

 private:
  [[noreturn]] void fail_all(ncclComm_t comm, ncclResult_t result, const CollectiveCall& call);

  std::shared_ptr<Watch> watch_;
  std::vector<ncclComm_t> open_;
  bool lost_ = false;
};

}  // namespace invp
