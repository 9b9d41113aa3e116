// NCCL's calls on the emulated GPU. Ranks are processes; their calls are work of their streams,
// which waits until every rank's part is there. It is stricter than NCCL: a call that differs from
// another rank's, or that only one rank has captured, is an error that says both; so is a call made
// before the one before was said to be queued. Faults: nccl_faults.h.
#include "nccl.h"

#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <random>
#include <stdexcept>
#include <utility>

#include "emulator.h"
#include "nccl_exchange.h"
#include "nccl_faults.h"

namespace {

using emulator::Call;
using emulator::Exchange;
using emulator::faults;
using emulator::Kind;
using emulator::Piece;
using emulator::Segment;
using emulator::Slot;
using emulator::State;

std::byte* bytes_at(const void* at) {
  return static_cast<std::byte*>(const_cast<void*>(at));
}

}  // namespace

struct ncclComm {
  std::shared_ptr<State> state = std::make_shared<State>();
};

namespace {

/// What was called between ncclGroupStart and ncclGroupEnd.
struct Group {
  int depth = 0;
  struct Item {
    ncclComm_t comm;
    cudaStream_t stream;
    Call call;
  };
  std::vector<Item> items;
};
thread_local Group group;

bool usable(State& state, const char* call) {
  if (state.result == ncclSuccess && state.answers == 0) return true;
  state.fail(ncclInvalidUsage, std::string(call) +
                                   " before ncclCommGetAsyncError had answered ncclSuccess to the "
                                   "call before");
  return false;
}

void start(const Group::Item& item) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(item.stream, &status);
  const bool captured = status == cudaStreamCaptureStatusActive;
  const auto& state = item.comm->state;
  const auto exchange = std::make_shared<Exchange>(state, item.call, captured);
  if (!captured) ++state->queued;
  state->answers = 1;
  emulator::queue_until(item.stream, [exchange] { return exchange->poll(); });
}

ncclResult_t add(const char* name, ncclComm_t comm, cudaStream_t stream, Call call) {
  if (!usable(*comm->state, name)) return comm->state->result;
  Group::Item item{comm, stream, std::move(call)};
  if (group.depth == 0) {
    start(item);
    return ncclInProgress;
  }
  // All messages of a group are one exchange.
  for (Group::Item& other : group.items) {
    if (other.comm != comm || other.call.kind != Kind::kMessages ||
        item.call.kind != Kind::kMessages)
      continue;
    for (const Piece& piece : item.call.given) other.call.given.push_back(piece);
    for (const Piece& piece : item.call.taken) other.call.taken.push_back(piece);
    return ncclSuccess;
  }
  group.items.push_back(std::move(item));
  return ncclSuccess;
}

Call call_of(Kind kind, const char* name, const void* from, void* to, std::size_t count,
             ncclDataType_t type) {
  Call call{.kind = kind, .type = type, .bytes = count * emulator::size_of(type)};
  call.words = std::string(name) + " of " + std::to_string(count) + ' ' + emulator::name_of(type);
  call.given = {{.at = bytes_at(from), .bytes = call.bytes}};
  call.taken = {{.at = bytes_at(to), .bytes = call.bytes}};
  return call;
}

/// Whether all have come, and what is wrong with them.
bool all_joined(State& state) {
  if (emulator::find_fault(faults(), "init-never", state.rank, -1) != nullptr) return false;
  const Segment& segment = *state.segment;
  if (!segment.all(&Slot::joined, 1)) return false;
  for (int rank = 0; rank < segment.ranks(); ++rank)
    for (int other = 0; other < rank; ++other)
      if (segment.slot(rank).device == segment.slot(other).device)
        state.fail(ncclInvalidUsage, "Duplicate GPU detected : rank " + std::to_string(other) +
                                         " and rank " + std::to_string(rank) +
                                         " both on CUDA device " +
                                         std::to_string(segment.slot(rank).device));
  if (state.rank == 0) state.segment->unlink();
  return true;
}

ncclResult_t join(State& state, const std::string& name, int ranks, int rank) {
  state.rank = rank;
  try {
    state.segment = std::make_unique<Segment>(name, ranks);
  } catch (const std::runtime_error& error) {
    state.fail(ncclSystemError, error.what());
    return ncclSystemError;
  }
  Slot& slot = state.segment->slot(rank);
  slot.device = state.device;
  slot.joined = 1;
  return ncclInProgress;
}

/// Once all ranks of the whole have said their color, joins those of the same.
bool join_part(State& part, State& whole, int number, int color) {
  if (part.segment == nullptr) {
    if (!whole.segment->all(&Slot::splits, static_cast<std::uint64_t>(number) + 1)) return false;
    int ranks = 0, rank = 0;
    for (int other = 0; other < whole.segment->ranks(); ++other) {
      if (whole.segment->slot(other).colors.at(static_cast<std::size_t>(number)) != color) continue;
      if (other == whole.rank) rank = ranks;
      ++ranks;
    }
    if (join(part,
             whole.segment->name() + "-" + std::to_string(number) + "-" + std::to_string(color),
             ranks, rank) != ncclInProgress)
      return false;
  }
  return all_joined(part);
}

}  // namespace

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_MAJOR * 10000 + NCCL_MINOR * 100 + NCCL_PATCH;
  return ncclSuccess;
}

ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  std::random_device random;
  std::memset(id->internal, 0, sizeof id->internal);
  std::snprintf(id->internal, sizeof id->internal, "/invp-nccl-%d-%08x%08x", getpid(), random(),
                random());
  return ncclSuccess;
}

ncclResult_t ncclCommInitRankConfig(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank,
                                    ncclConfig_t* config) {
  if (config == nullptr || config->blocking != 0) return ncclInvalidArgument;
  *comm = new ncclComm;
  State& state = *(*comm)->state;
  cudaGetDevice(&state.device);
  state.joining = [&state] { return all_joined(state); };
  return join(state, id.internal, ranks, rank);
}

ncclResult_t ncclCommSplit(ncclComm_t comm, int color, int /*key*/, ncclComm_t* part,
                           ncclConfig_t* config) {
  if (config == nullptr || config->blocking != 0 || config->splitShare != 0)
    return ncclInvalidArgument;
  State& whole = *comm->state;
  if (!usable(whole, "ncclCommSplit")) return whole.result;
  if (whole.queued > 0) {
    whole.fail(ncclInvalidUsage, "ncclCommSplit while calls are outstanding");
    return whole.result;
  }
  const int number = whole.splits++;
  Slot& slot = whole.segment->slot(whole.rank);
  slot.colors.at(static_cast<std::size_t>(number)) = color;
  slot.splits = number + 1;
  *part = new ncclComm;
  State& state = *(*part)->state;
  state.device = whole.device;
  state.joining = [&state, above = comm->state, number, color] {
    return join_part(state, *above, number, color);
  };
  return ncclInProgress;
}

ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* result) {
  State& state = *comm->state;
  if (state.joining) {
    const bool came = state.joining();
    if (came) state.joining = {};
    ncclResult_t before = ncclInProgress;
    if (came) state.result.compare_exchange_strong(before, ncclSuccess);
  }
  const ncclResult_t now = state.result;
  *result = now == ncclSuccess && state.answers > 0 ? ncclInProgress : now;
  if (state.answers > 0) --state.answers;
  return ncclSuccess;
}

ncclResult_t ncclCommFinalize(ncclComm_t comm) {
  return usable(*comm->state, "ncclCommFinalize") ? ncclSuccess : ncclInvalidUsage;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  const bool outstanding = comm->state->queued > 0;
  delete comm;
  return outstanding ? ncclInvalidUsage : ncclSuccess;
}
ncclResult_t ncclCommAbort(ncclComm_t comm) {
  comm->state->aborted = true;
  emulator::settle();  // nobody is inside its calls any more
  if (comm->state->segment != nullptr) comm->state->segment->unlink();
  delete comm;
  return ncclSuccess;
}

ncclResult_t ncclCommCount(ncclComm_t comm, int* count) {
  *count = comm->state->segment->ranks();
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(ncclComm_t comm, int* rank) {
  *rank = comm->state->rank;
  return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(ncclComm_t comm, int* device) {
  *device = comm->state->device;
  return ncclSuccess;
}

const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInternalError: return "internal error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    case ncclInProgress: return "NCCL operation in progress";
  }
  return "unknown result code";
}
const char* ncclGetLastError(ncclComm_t comm) {
  if (comm == nullptr) return "";
  const std::lock_guard lock(comm->state->mutex);
  return comm->state->error.c_str();
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  if (--group.depth > 0) return ncclSuccess;
  const std::vector<Group::Item> items = std::exchange(group.items, {});
  for (const Group::Item& item : items) start(item);
  return items.empty() ? ncclSuccess : ncclInProgress;
}

ncclResult_t ncclAllReduce(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  Call call = call_of(Kind::kReduce, "all_reduce", from, to, count, type);
  call.op = op;
  call.words += std::string(", ") + emulator::name_of(op);
  return add("ncclAllReduce", comm, stream, std::move(call));
}
ncclResult_t ncclReduceScatter(const void* from, void* to, std::size_t count, ncclDataType_t type,
                               ncclRedOp_t op, ncclComm_t comm, cudaStream_t stream) {
  Call call = call_of(Kind::kReduceScatter, "reduce_scatter", from, to, count, type);
  call.op = op;
  call.words += std::string(", ") + emulator::name_of(op);
  call.given[0].bytes *= static_cast<std::size_t>(comm->state->segment->ranks());
  return add("ncclReduceScatter", comm, stream, std::move(call));
}
ncclResult_t ncclAllGather(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           ncclComm_t comm, cudaStream_t stream) {
  return add("ncclAllGather", comm, stream,
             call_of(Kind::kGather, "all_gather", from, to, count, type));
}
ncclResult_t ncclBroadcast(const void* from, void* to, std::size_t count, ncclDataType_t type,
                           int root, ncclComm_t comm, cudaStream_t stream) {
  Call call = call_of(Kind::kBroadcast, "broadcast", from, to, count, type);
  call.root = root;
  call.words += ", from rank " + std::to_string(root);
  if (comm->state->rank != root) call.given.clear();
  return add("ncclBroadcast", comm, stream, std::move(call));
}
ncclResult_t ncclSend(const void* from, std::size_t count, ncclDataType_t type, int peer,
                      ncclComm_t comm, cudaStream_t stream) {
  Call call;
  call.given = {{.peer = peer, .at = bytes_at(from), .bytes = count * emulator::size_of(type)}};
  return add("ncclSend", comm, stream, std::move(call));
}
ncclResult_t ncclRecv(void* to, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  Call call;
  call.taken = {{.peer = peer, .at = bytes_at(to), .bytes = count * emulator::size_of(type)}};
  return add("ncclRecv", comm, stream, std::move(call));
}
