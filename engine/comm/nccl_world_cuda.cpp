#include "engine/comm/nccl_world_cuda.h"

#include <thread>
#include <utility>

#include "engine/core/device_wait.h"
#include "engine/core/error.h"

namespace invp {

NcclWorld& NcclWorld::get() {
  static auto* const world = new NcclWorld;  // as long as the process: NCCL has threads of its own
  return *world;
}

void NcclWorld::watch_by(std::shared_ptr<Watch> watch) {
  watch_ = std::move(watch);
  watch_device_waits([this](Seconds since) {
    if (!lost_) look({.operation = "wait for", .name = "the device"}, since);
  });
}

void NcclWorld::add(ncclComm_t comm) {
  open_.push_back(comm);
}

void NcclWorld::remove(ncclComm_t comm) {
  std::erase(open_, comm);
  if (!open_.empty()) return;
  watch_device_waits({});
  watch_.reset();
}

void NcclWorld::settle(ncclComm_t comm, ncclResult_t result, const CollectiveCall& call) {
  constexpr Seconds kLook{0.005};
  const auto start = std::chrono::steady_clock::now();
  Seconds looked{0};
  while (result == ncclInProgress) {
    if (ncclCommGetAsyncError(comm, &result) != ncclSuccess) result = ncclInternalError;
    if (result != ncclInProgress) break;
    const Seconds since = std::chrono::steady_clock::now() - start;
    if (since - looked > kLook) {
      look(call, since);
      looked = since;
    }
    std::this_thread::yield();
  }
  if (result != ncclSuccess) fail_all(comm, result, call);
}

void NcclWorld::look(const CollectiveCall& call, Seconds since) {
  for (const ncclComm_t comm : open_) {
    ncclResult_t result = ncclSuccess;
    if (ncclCommGetAsyncError(comm, &result) != ncclSuccess) result = ncclInternalError;
    if (result != ncclSuccess && result != ncclInProgress) fail_all(comm, result, call);
  }
  try {
    if (watch_ != nullptr) watch_->waiting(call, since);
  } catch (...) {
    abort_all();
    throw;
  }
}

void NcclWorld::fail_all(ncclComm_t comm, ncclResult_t result, const CollectiveCall& call) {
  const std::string words = ncclGetLastError(comm);
  const std::string why =
      message("[", call.operation, ' ', call.name, "] NCCL: ", ncclGetErrorString(result),
              words.empty() ? "" : ": ", words);
  abort_all();
  throw Error(why);
}

void NcclWorld::abort_all() {
  lost_ = true;
  for (const ncclComm_t comm : std::exchange(open_, {})) ncclCommAbort(comm);
}

}  // namespace invp
