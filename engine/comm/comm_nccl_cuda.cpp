#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <vector>

#include "engine/comm/call.h"
#include "engine/comm/comm_nccl.h"
#include "engine/comm/host.h"
#include "engine/comm/nccl_world_cuda.h"
#include "engine/comm/tree_sum.h"
#include "engine/core/cuda_context.h"
#include "engine/core/dispatch.h"
#include "engine/core/error.h"
#include "engine/core/hash.h"
#include "engine/core/numerics.h"
#include "engine/core/stop.h"

namespace invp {

namespace {

/// Sums of which all ranks' values together take less are gathered whole: one exchange, not two.
constexpr std::int64_t kSmallSum = std::int64_t{1} << 17;

ncclDataType_t type_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return ncclFloat32;
    case DType::kF64: return ncclFloat64;
    case DType::kBF16: return ncclBfloat16;
    case DType::kI32: return ncclInt32;
    case DType::kI64: return ncclInt64;
    case DType::kU8: return ncclUint8;
  }
  return ncclUint8;
}

ncclRedOp_t op_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::kSum: return ncclSum;
    case Reduction::kMax: return ncclMax;
    case Reduction::kMin: return ncclMin;
  }
  return ncclSum;
}

/// The part [first, last) of `count` values that a rank adds up.
struct Block {
  Block(std::int64_t count, int part, int parts)
      : first(count * part / parts), last(count * (part + 1) / parts) {}
  std::int64_t size() const { return last - first; }
  std::int64_t first;
  std::int64_t last;
};

std::byte* bytes(const Tensor& x) {
  return static_cast<std::byte*>(x.raw());
}

ncclConfig_t polite_config() {
  ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
  config.blocking = 0;    // only so can a call be aborted
  config.splitShare = 0;  // so that aborting one communicator does not spoil its family
  return config;
}

class NcclCommunicator final : public Communicator {
 public:
  NcclCommunicator(ncclComm_t comm, const Ranks& ranks, Device device, std::shared_ptr<Watch> watch)
      : comm_(comm), ranks_(ranks), device_(device), watch_(std::move(watch)) {}
  ~NcclCommunicator() override { close(); }
  NcclCommunicator(const NcclCommunicator&) = delete;
  NcclCommunicator& operator=(const NcclCommunicator&) = delete;

  Ranks ranks() const override { return ranks_; }

  void all_reduce(const char* name, const Tensor& x, Reduction reduction, SumOrder order) override {
    check_reducible(name, x.dtype());
    const Call call(*this, "all_reduce", name, x);
    if (x.numel() == 0) return;
    const Tensor there = on_device(x);
    const bool any_order =
        x.dtype() == DType::kI64 || (order == SumOrder::kFast && x.dtype() != DType::kBF16);
    if (any_order) {
      call.settle(ncclAllReduce(there.raw(), there.raw(), count_of(there), type_of(x.dtype()),
                                op_of(reduction), comm_, stream()));
    } else if (static_cast<std::int64_t>(x.nbytes()) * ranks_.size <= kSmallSum) {
      small_sum(call, there, reduction);
    } else {
      sum_in_blocks(call, there, reduction);
    }
    back(there, x);
  }

  void all_gather(const char* name, const Tensor& mine, const Tensor& all) override {
    check_rows(name, mine.numel() * ranks_.size, mine, all, ranks_.size);
    const Call call(*this, "all_gather", name, mine);
    if (mine.numel() == 0) return;
    const Tensor from = on_device(mine);
    const Tensor to = room_for(all);
    call.settle(ncclAllGather(from.raw(), to.raw(), from.nbytes(), ncclUint8, comm_, stream()));
    back(to, all);
  }

  void all_to_all(const char* name, const Tensor& out, const Tensor& in) override {
    check_rows(name, in.numel(), in, out, ranks_.size);
    CHECK(in.numel() % ranks_.size == 0, "[", name, "] ", in.shape(), " for ", ranks_.size,
          " ranks");
    const Call call(*this, "all_to_all", name, in);
    if (in.numel() == 0) return;
    const Tensor from = on_device(in);
    const Tensor to = room_for(out);
    const std::size_t row = from.nbytes() / static_cast<std::size_t>(ranks_.size);
    call.settle(grouped([&](int peer, std::size_t number) {
      ncclSend(bytes(from) + number * row, row, ncclUint8, peer, comm_, stream());
      ncclRecv(bytes(to) + number * row, row, ncclUint8, peer, comm_, stream());
    }));
    back(to, out);
  }

  void broadcast(const char* name, const Tensor& x, int root) override {
    CHECK(root >= 0 && root < ranks_.size, "[", name, "] no rank ", root, " among ", ranks_.size);
    const Call call(*this, "broadcast", name, x);
    if (x.numel() == 0) return;
    const Tensor there = on_device(x);
    call.settle(
        ncclBroadcast(there.raw(), there.raw(), there.nbytes(), ncclUint8, root, comm_, stream()));
    back(there, x);
  }

  std::shared_ptr<Communicator> split(int color) override {
    const Ranks part = ranks_of_part(color);
    synchronize(device_);  // nothing may be under way
    const CollectiveCall what{.operation = "split", .name = "ranks"};
    ncclConfig_t config = polite_config();
    ncclComm_t comm = nullptr;
    NcclWorld& world = NcclWorld::get();
    CHECK(!world.is_lost(), "[split] an earlier exchange between ranks has failed");
    world.settle(comm_, ncclCommSplit(comm_, color, ranks_.rank, &comm, &config), what);
    world.add(comm);
    world.settle(comm, ncclInProgress, what);
    return std::make_shared<NcclCommunicator>(comm, part, device_, watch_);
  }

  // Waits for the device are watched whoever waits.
  void wait(const DeviceMark& mark) override { mark.wait(); }

 private:
  /// One call of this communicator.
  class Call : public WatchedCall {
   public:
    Call(NcclCommunicator& owner, const char* operation, const char* name, const Tensor& x)
        : WatchedCall(owner.watch_for(operation, name, x), operation, name, x),
          comm_(owner.comm_) {}
    void settle(ncclResult_t result) const { NcclWorld::get().settle(comm_, result, what()); }

   private:
    ncclComm_t comm_;
  };

  Watch& watch_for(const char* operation, const char* name, const Tensor& x) const {
    CHECK(x.device() == kCpu || x.device() == device_, "[", name, "] this rank is on ", device_,
          ", not on ", x.device());
    CHECK(!NcclWorld::get().is_lost(), "[", name, "] an earlier exchange between ranks has failed");
    cuda::enter(device_, operation);
    return *watch_;
  }

  cudaStream_t stream() const { return cuda::context(device_).stream(); }
  static std::size_t count_of(const Tensor& x) { return static_cast<std::size_t>(x.numel()); }

  Tensor on_device(const Tensor& x) const { return x.device() == device_ ? x : x.to(device_); }
  Tensor room_for(const Tensor& x) const {
    return x.device() == device_ ? x : Tensor::empty(x.shape(), x.dtype(), device_);
  }
  static void back(const Tensor& there, const Tensor& x) {
    if (there.device() != x.device()) x.copy_from(there);
  }

  template <class Each>
  ncclResult_t grouped(const Each& each) const {
    ncclGroupStart();
    for (int peer = 0; peer < ranks_.size; ++peer) each(peer, static_cast<std::size_t>(peer));
    return ncclGroupEnd();
  }

  void small_sum(const Call& call, const Tensor& x, Reduction reduction) {
    const Tensor all = Tensor::empty({ranks_.size, x.numel()}, x.dtype(), device_);
    call.settle(ncclAllGather(x.raw(), all.raw(), x.nbytes(), ncclUint8, comm_, stream()));
    tree_reduce(call.what().name, all, reduction);
    x.view({x.numel()}).copy_from(all.slice(0, 1).view({x.numel()}));
  }

  /// Every rank adds up its block, and gets the others'.
  void sum_in_blocks(const Call& call, const Tensor& x, Reduction reduction) {
    const std::size_t size = size_of(x.dtype());
    const Block own(x.numel(), ranks_.rank, ranks_.size);
    const std::size_t own_bytes = static_cast<std::size_t>(own.size()) * size;
    const Tensor blocks = Tensor::empty({ranks_.size, own.size()}, x.dtype(), device_);
    const auto place = [&](const Block& block) {
      return bytes(x) + static_cast<std::size_t>(block.first) * size;
    };
    const auto length = [&](const Block& block) {
      return static_cast<std::size_t>(block.size()) * size;
    };
    call.settle(grouped([&](int peer, std::size_t number) {
      const Block block(x.numel(), peer, ranks_.size);
      ncclSend(place(block), length(block), ncclUint8, peer, comm_, stream());
      ncclRecv(bytes(blocks) + number * own_bytes, own_bytes, ncclUint8, peer, comm_, stream());
    }));
    tree_reduce(call.what().name, blocks, reduction);
    call.settle(grouped([&](int peer, std::size_t) {
      const Block block(x.numel(), peer, ranks_.size);
      ncclSend(bytes(blocks), own_bytes, ncclUint8, peer, comm_, stream());
      ncclRecv(place(block), length(block), ncclUint8, peer, comm_, stream());
    }));
  }

  /// This rank among those of its color, and among those of them on its host.
  Ranks ranks_of_part(int color) {
    Hash host;
    host.add_text(host_name());
    const Tensor mine = Tensor::from(
        std::vector<std::int64_t>{color, static_cast<std::int64_t>(host.value())}, {2});
    const Tensor all = Tensor::empty({ranks_.size, 2}, DType::kI64);
    all_gather("colors of split", mine, all);
    Ranks part{.rank = 0, .size = 0, .local_rank = 0, .local_size = 0};
    for (int rank = 0; rank < ranks_.size; ++rank) {
      const std::int64_t* const said = all.data<std::int64_t>() + std::int64_t{2} * rank;
      if (said[0] != color) continue;
      const bool here = said[1] == mine.data<std::int64_t>()[1];
      if (rank == ranks_.rank) part.rank = part.size, part.local_rank = part.local_size;
      ++part.size;
      part.local_size += here ? 1 : 0;
    }
    return part;
  }

  /// Ends what is there: in peace, or at once while an exception is on its way.
  void close() noexcept {
    NcclWorld& world = NcclWorld::get();
    if (world.is_lost()) return;
    const bool failed = std::uncaught_exceptions() > 0 && stop_signal() == 0;
    try {
      if (failed) return world.abort_all();
      synchronize(device_);
      world.settle(comm_, ncclCommFinalize(comm_), {.operation = "end", .name = "ranks"});
      world.remove(comm_);
      ncclCommDestroy(comm_);
    } catch (const std::exception&) {  // said by the others; everything is aborted
    }
  }

  ncclComm_t comm_;
  Ranks ranks_;
  Device device_;
  std::shared_ptr<Watch> watch_;
};

/// Two hexadecimal digits a byte: a message between ranks has no zero bytes.
constexpr std::string_view kDigits = "0123456789abcdef";

ncclUniqueId id_of(const std::string& text) {
  ncclUniqueId id{};
  CHECK(text.size() == 2 * sizeof id.internal, "[NCCL] an id of ", text.size(), " characters");
  for (std::size_t i = 0; i < sizeof id.internal; ++i)
    id.internal[i] =
        static_cast<char>(kDigits.find(text[2 * i]) * 16 + kDigits.find(text[2 * i + 1]));
  return id;
}

}  // namespace

std::string nccl_library() {
  int version = 0;
  if (ncclGetVersion(&version) != ncclSuccess) return "NCCL";
  return message("NCCL ", version / 10000, '.', version / 100 % 100, '.', version % 100);
}

std::string nccl_headers() {
  return message(NCCL_MAJOR, '.', NCCL_MINOR, '.', NCCL_PATCH);
}

std::string new_nccl_id() {
  ncclUniqueId id{};
  const ncclResult_t result = ncclGetUniqueId(&id);
  CHECK(result == ncclSuccess, "[NCCL] no id for a communicator: ", ncclGetErrorString(result));
  std::string text;
  for (const char byte : id.internal) {
    const auto value = static_cast<unsigned char>(byte);
    text += kDigits[value / 16];
    text += kDigits[value % 16];
  }
  return text;
}

std::shared_ptr<Communicator> join_nccl(const Ranks& ranks, const std::string& id, Device device,
                                        std::shared_ptr<Watch> watch) {
  // NVLS adds in an order that differs between runs.
  if (numerics().deterministic) setenv("NCCL_NVLS_ENABLE", "0", 0);
  cuda::context(device);
  cuda::enter(device, "join");
  NcclWorld& world = NcclWorld::get();
  CHECK(!world.is_lost(), "[NCCL] an earlier exchange between ranks has failed");
  world.watch_by(watch);
  ncclConfig_t config = polite_config();
  ncclComm_t comm = nullptr;
  const ncclResult_t result =
      ncclCommInitRankConfig(&comm, ranks.size, id_of(id), ranks.rank, &config);
  CHECK(comm != nullptr, "[NCCL] ranks on ", device,
        " cannot be joined: ", ncclGetErrorString(result), ": ", ncclGetLastError(nullptr));
  world.add(comm);
  {
    const WatchedCall call(*watch, {.operation = "join", .name = "ranks"});
    world.settle(comm, result, call.what());
  }
  return std::make_shared<NcclCommunicator>(comm, ranks, device, std::move(watch));
}

}  // namespace invp
