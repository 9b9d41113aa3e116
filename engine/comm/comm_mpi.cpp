#include "engine/comm/comm_mpi.h"

#include <mpi.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <condition_variable>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

#include "engine/comm/call.h"
#include "engine/comm/host.h"
#include "engine/comm/launch.h"
#include "engine/comm/tree_sum.h"
#include "engine/core/error.h"
#include "engine/core/stop.h"
#include "engine/core/text.h"

namespace invp {

namespace {

using Clock = std::chrono::steady_clock;

/// MPI counts in int.
constexpr std::int64_t kMostBytes = std::int64_t{1} << 30;
/// Sums of which all ranks' values together take less are gathered whole: one exchange, not two.
constexpr std::int64_t kSmallSum = std::int64_t{1} << 15;

void checked(int code, const char* call) {
  if (code == MPI_SUCCESS) return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  fail(call, " failed: ", text.data());
}

/// Around calls that wait for other ranks and cannot be given up: ends the process where they take
/// longer than limit_mpi() allows.
class Overdue {
 public:
  explicit Overdue(const char* call) : thread_([this, call] { watch(call); }) {}
  ~Overdue() {
    {
      const std::lock_guard lock(mutex_);
      done_ = true;
    }
    changed_.notify_all();
    thread_.join();
  }
  Overdue(const Overdue&) = delete;
  Overdue& operator=(const Overdue&) = delete;
  static void limit(Seconds longest) { longest_ = longest; }

 private:
  /// Rank 0 speaks, and the launcher then ends the others. Where it is rank 0 that does not come,
  /// the others speak.
  void watch(const char* call) {
    const int rank = announced_rank(variable_of_process);
    const Seconds most = longest_ + (rank == 0 ? Seconds(0) : kAfterRank0);
    std::unique_lock lock(mutex_);
    if (changed_.wait_for(lock, most, [&] { return done_; })) return;
    const std::string line =
        message("invp: rank ", rank, " (", host_name(), ", pid ", getpid(), ") waited ",
                format_duration(most.count()), " for other ranks in ", call,
                ": one did not come, or cannot be reached. Where hosts have several networks, name "
                "the one to take (Open MPI: OMPI_MCA_btl_tcp_if_include=INTERFACE)\n");
    [[maybe_unused]] const ssize_t said = write(STDERR_FILENO, line.data(), line.size());
    std::_Exit(1);
  }

  static constexpr Seconds kAfterRank0{4};
  static inline Seconds longest_{120};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool done_ = false;
  std::thread thread_;
};

/// Who this process is in it. All its ranks call this.
Ranks ranks_of(MPI_Comm comm) {
  const Overdue overdue("MPI_Comm_split_type");
  Ranks ranks;
  MPI_Comm_rank(comm, &ranks.rank);
  MPI_Comm_size(comm, &ranks.size);
  MPI_Comm node = MPI_COMM_NULL;
  checked(MPI_Comm_split_type(comm, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &node),
          "MPI_Comm_split_type");
  MPI_Comm_rank(node, &ranks.local_rank);
  MPI_Comm_size(node, &ranks.local_size);
  MPI_Comm_free(&node);
  return ranks;
}

/// MPI as this process has it. Ends it with the process, if all went well.
class World {
 public:
  static World& get() {
    static World world;
    started_ = true;
    return world;
  }
  static bool started() { return started_; }
  World(const World&) = delete;
  World& operator=(const World&) = delete;
  const Ranks& ranks() const { return ranks_; }
  void may_end(bool may) { may_end_ = may; }
  void lost() { lost_ = true; }
  bool is_lost() const { return lost_; }

 private:
  World() {
    int provided = 0;
    const Overdue overdue("MPI_Init");
    checked(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
    CHECK(provided >= MPI_THREAD_FUNNELED, "this MPI cannot be used in a program with threads");
    MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    ranks_ = ranks_of(MPI_COMM_WORLD);
  }
  ~World() {
    // MPI_Finalize waits for the other ranks. Without it the launcher takes the end of this one
    // for a failure and ends them.
    if (may_end_ && !lost_) MPI_Finalize();
  }

  static inline bool started_ = false;
  Ranks ranks_;
  bool may_end_ = false;
  bool lost_ = false;
};

/// The part [first, last) of `count` things that rank `part` of `parts` works on.
struct Block {
  Block(std::int64_t count, int part, int parts)
      : first(count * part / parts), last(count * (part + 1) / parts) {}
  std::int64_t size() const { return last - first; }
  std::int64_t first;
  std::int64_t last;
};

class MpiCommunicator final : public Communicator {
 public:
  MpiCommunicator(MPI_Comm comm, Ranks ranks, std::shared_ptr<Watch> watch, std::int64_t slice)
      : comm_(comm), ranks_(ranks), watch_(std::move(watch)), slice_(slice) {
    MPI_Comm_set_errhandler(comm_, MPI_ERRORS_RETURN);
  }
  ~MpiCommunicator() override {
    const bool failed = std::uncaught_exceptions() > 0 && stop_signal() == 0;
    World::get().may_end(!failed);
    if (!World::get().is_lost() && !failed) MPI_Comm_free(&comm_);
  }
  MpiCommunicator(const MpiCommunicator&) = delete;
  MpiCommunicator& operator=(const MpiCommunicator&) = delete;

  Ranks ranks() const override { return ranks_; }

  void all_reduce(const char* name, const Tensor& x, Reduction reduction,
                  SumOrder /*order*/) override {
    const Call call(*this, "all_reduce", name, x);
    check_reducible(name, x.dtype());
    if (ranks_.size == 1) return;
    const std::int64_t size = static_cast<std::int64_t>(size_of(x.dtype()));
    const Tensor flat = x.view({x.numel()});
    if (x.numel() * size * ranks_.size <= kSmallSum) return small_sum(call, flat, reduction);
    const std::int64_t slice = std::max<std::int64_t>(slice_ / size, 1);
    for (std::int64_t at = 0; at < x.numel(); at += slice)
      sum_slice(call, flat.slice(at, std::min(at + slice, x.numel())), reduction);
  }

  void all_gather(const char* name, const Tensor& mine, const Tensor& all) override {
    const Call call(*this, "all_gather", name, mine);
    check_rows(name, mine.numel() * ranks_.size, mine, all, ranks_.size);
    by_slices(
        static_cast<std::int64_t>(mine.nbytes()),
        [&](std::int64_t at, std::int64_t count, std::byte* bounce) {
          start_gather(bytes(mine) + at, count, bounce);
          finish(call);
        },
        bytes(all));
  }

  void all_to_all(const char* name, const Tensor& out, const Tensor& in) override {
    const Call call(*this, "all_to_all", name, in);
    check_rows(name, in.numel(), in, out, ranks_.size);
    CHECK(in.numel() % ranks_.size == 0, "[", name, "] ", in.shape(), " for ", ranks_.size,
          " ranks");
    const auto row = static_cast<std::int64_t>(in.nbytes()) / ranks_.size;
    by_slices(
        row,
        [&](std::int64_t at, std::int64_t count, std::byte* bounce) {
          const std::byte* from = bytes(in);
          if (count != row) {
            sent_.resize(static_cast<std::size_t>(count * ranks_.size));
            for (int to = 0; to < ranks_.size; ++to)
              std::copy_n(bytes(in) + to * row + at, count, sent_.data() + to * count);
            from = sent_.data();
          }
          checked(MPI_Ialltoall(from, static_cast<int>(count), MPI_BYTE, bounce,
                                static_cast<int>(count), MPI_BYTE, comm_, &request_),
                  "MPI_Ialltoall");
          finish(call);
        },
        bytes(out));
  }

  void broadcast(const char* name, const Tensor& x, int root) override {
    CHECK(root >= 0 && root < ranks_.size, "[", name, "] no rank ", root, " among ", ranks_.size);
    const Call call(*this, "broadcast", name, x);
    const auto total = static_cast<std::int64_t>(x.nbytes());
    const std::int64_t most = slice_ * 16;
    for (std::int64_t at = 0; at < total; at += most) {
      checked(MPI_Ibcast(bytes(x) + at, static_cast<int>(std::min(most, total - at)), MPI_BYTE,
                         root, comm_, &request_),
              "MPI_Ibcast");
      finish(call);
    }
  }

  std::shared_ptr<Communicator> split(int color) override {
    // MPI_Comm_split has no deadline: the ranks are waited for before it.
    const Tensor mine = Tensor::from(std::vector<std::int32_t>{color}, {1});
    const Tensor all = Tensor::empty({ranks_.size, 1}, DType::kI32);
    all_gather("colors of split", mine, all);
    MPI_Comm part = MPI_COMM_NULL;
    const Overdue overdue("MPI_Comm_split");
    checked(MPI_Comm_split(comm_, color, ranks_.rank, &part), "MPI_Comm_split");
    return std::make_shared<MpiCommunicator>(part, ranks_of(part), watch_, slice_);
  }

  void wait(const DeviceMark& mark) override { mark.wait(); }

 private:
  /// One call of this communicator. Whatever ends it early ends all.
  class Call : public WatchedCall {
   public:
    Call(MpiCommunicator& owner, const char* operation, const char* name, const Tensor& x)
        : WatchedCall(owner.watch_for(name, x), operation, name, x) {}
    ~Call() {
      if (ended_early()) World::get().lost();
    }
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;
  };

  Watch& watch_for(const char* name, const Tensor& x) const {
    CHECK(x.device() == kCpu, "[", name, "] MPI moves what is in host memory, not on ", x.device());
    CHECK(!World::get().is_lost(), "[", name, "] an earlier exchange between ranks has failed");
    return *watch_;
  }

  static std::byte* bytes(const Tensor& x) { return static_cast<std::byte*>(x.raw()); }

  /// Waits for request_. Spins at first, since most waits are shorter than a change of threads,
  /// then lets others have the core, then sleeps: somebody writes a file.
  void finish(const Call& call) {
    constexpr int kSpins = 200;
    constexpr Seconds kLook{0.005};
    constexpr Seconds kPatience{0.0005};
    const auto start = Clock::now();
    Seconds looked{0};
    for (int turn = 0;; ++turn) {
      int done = 0;
      checked(MPI_Test(&request_, &done, MPI_STATUS_IGNORE), call.what().operation);
      if (done != 0) return;
      if (turn < kSpins) continue;
      const Seconds since = Clock::now() - start;
      if (since - looked > kLook) {
        watch_->waiting(call.what(), since);
        looked = since;
      }
      if (since > kPatience)
        std::this_thread::sleep_for(std::chrono::microseconds(50));
      else
        sched_yield();
    }
  }

  void start_gather(const std::byte* mine, std::int64_t count, std::byte* all) {
    checked(MPI_Iallgather(mine, static_cast<int>(count), MPI_BYTE, all, static_cast<int>(count),
                           MPI_BYTE, comm_, &request_),
            "MPI_Iallgather");
  }

  void small_sum(const Call& call, const Tensor& x, Reduction reduction) {
    const Tensor all = Tensor::empty({ranks_.size, x.numel()}, x.dtype());
    if (x.numel() == 0) return;
    start_gather(bytes(x), static_cast<std::int64_t>(x.nbytes()), bytes(all));
    finish(call);
    tree_reduce(call.what().name, all, reduction);
    std::copy_n(bytes(all), x.nbytes(), bytes(x));
  }

  /// Every rank adds up its block of the slice, and gets the others'.
  void sum_slice(const Call& call, const Tensor& x, Reduction reduction) {
    const auto size = static_cast<std::int64_t>(size_of(x.dtype()));
    const Block own(x.numel(), ranks_.rank, ranks_.size);
    const auto own_bytes = static_cast<int>(own.size() * size);
    std::vector<int> counts, starts, own_starts;
    for (int rank = 0; rank < ranks_.size; ++rank) {
      const Block block(x.numel(), rank, ranks_.size);
      counts.push_back(static_cast<int>(block.size() * size));
      starts.push_back(static_cast<int>(block.first * size));
      own_starts.push_back(rank * own_bytes);
    }
    const std::vector<int> own_counts(counts.size(), own_bytes);
    const Tensor blocks = Tensor::empty({ranks_.size, own.size()}, x.dtype());
    checked(MPI_Ialltoallv(bytes(x), counts.data(), starts.data(), MPI_BYTE, bytes(blocks),
                           own_counts.data(), own_starts.data(), MPI_BYTE, comm_, &request_),
            "MPI_Ialltoallv");
    finish(call);
    tree_reduce(call.what().name, blocks, reduction);
    std::copy_n(bytes(blocks), own_bytes, bytes(x) + own.first * size);
    checked(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_BYTE, bytes(x), counts.data(), starts.data(),
                            MPI_BYTE, comm_, &request_),
            "MPI_Iallgatherv");
    finish(call);
  }

  /// Calls exchange(at, count, to) for the bytes [at, at + count) of every rank's row, which come
  /// to lie one after the other in `to`; and brings them to their places in `out`.
  template <class Exchange>
  void by_slices(std::int64_t row, const Exchange& exchange, std::byte* out) {
    const std::int64_t most =
        std::max<std::int64_t>(std::min(slice_ * 256, kMostBytes) / ranks_.size, 1);
    if (row > 0 && row <= most) return exchange(0, row, out);
    for (std::int64_t at = 0; at < row; at += most) {
      const std::int64_t count = std::min(most, row - at);
      received_.resize(static_cast<std::size_t>(count * ranks_.size));
      exchange(at, count, received_.data());
      for (int rank = 0; rank < ranks_.size; ++rank)
        std::copy_n(received_.data() + rank * count, count, out + rank * row + at);
    }
  }

  MPI_Comm comm_;
  Ranks ranks_;
  std::shared_ptr<Watch> watch_;
  std::int64_t slice_;
  MPI_Request request_ = MPI_REQUEST_NULL;
  std::vector<std::byte> sent_;
  std::vector<std::byte> received_;
};

}  // namespace

std::string mpi_library() {
  std::array<char, MPI_MAX_LIBRARY_VERSION_STRING> text{};
  int length = 0;
  if (MPI_Get_library_version(text.data(), &length) != MPI_SUCCESS) return "MPI";
  // "Open MPI v4.1.4, package: ..." or "MPICH Version:\t4.0.2\nMPICH Release date: ...".
  std::string line = text.data();
  line = line.substr(0, line.find_first_of(",\n"));
  const std::size_t number = line.find_first_of("0123456789");
  if (number == std::string::npos) return line;
  const std::string family = line.starts_with("Open MPI") ? "Open MPI" : "MPICH";
  return family + " " + line.substr(number);
}

void limit_mpi(Seconds longest) {
  Overdue::limit(longest);
}

Ranks start_mpi() {
  return World::get().ranks();
}

std::shared_ptr<Communicator> join_mpi(std::shared_ptr<Watch> watch, std::int64_t slice) {
  const Ranks ranks = World::get().ranks();
  MPI_Comm all = MPI_COMM_NULL;
  const Overdue overdue("MPI_Comm_dup");
  checked(MPI_Comm_dup(MPI_COMM_WORLD, &all), "MPI_Comm_dup");
  return std::make_shared<MpiCommunicator>(all, ranks, std::move(watch), slice);
}

void library_all_reduce(const Tensor& x) {
  checked(MPI_Allreduce(MPI_IN_PLACE, x.data<float>(), static_cast<int>(x.numel()), MPI_FLOAT,
                        MPI_SUM, MPI_COMM_WORLD),
          "MPI_Allreduce");
}

}  // namespace invp

#if defined(__SANITIZE_ADDRESS__) || defined(__clang__)
// Asked by LeakSanitizer, where it is. MPI keeps memory of plug-ins that it has unloaded, so no
// suppression can name it.
// NOLINTNEXTLINE(bugprone-reserved-identifier,readability-identifier-naming)
extern "C" int __lsan_is_turned_off() {
  return invp::World::started() ? 1 : 0;
}
#endif
