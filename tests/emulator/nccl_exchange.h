// A collective call on its way through the emulated NCCL.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "nccl.h"
#include "nccl_segment.h"

namespace emulator {

/// Of a communicator; its queued calls keep it alive.
struct State {
  std::unique_ptr<Segment> segment;
  int rank = 0;
  int device = 0;
  std::atomic<ncclResult_t> result = ncclInProgress;
  std::atomic<int> answers = 0;  ///< so often ncclInProgress is still said of a call
  std::atomic<int> queued = 0;   ///< calls that are not done
  std::atomic<bool> aborted = false;
  std::uint64_t rounds = 0;  ///< of exchanges, all done
  int splits = 0;
  std::function<bool()> joining;  ///< true once the communicator can be used
  std::mutex mutex;
  std::string error;

  void fail(ncclResult_t code, const std::string& why) {
    const std::lock_guard lock(mutex);
    if (result != ncclInProgress && result != ncclSuccess) return;
    error = why;
    result = code;
  }
};

std::size_t size_of(ncclDataType_t type);
const char* name_of(ncclDataType_t type);
const char* name_of(ncclRedOp_t op);

/// Bytes of this process.
struct Piece {
  int peer = 0;  ///< of sends and receives
  std::byte* at = nullptr;
  std::size_t bytes = 0;
};

enum class Kind { kReduce, kReduceScatter, kGather, kBroadcast, kMessages };

struct Call {
  Kind kind = Kind::kMessages;
  std::string words = "sends and receives";
  ncclDataType_t type = ncclUint8;
  ncclRedOp_t op = ncclSum;
  int root = 0;
  std::size_t bytes = 0;     ///< of the result; of kGather, of one rank's part
  std::vector<Piece> given;  ///< what this rank contributes, one after another
  std::vector<Piece> taken;  ///< where results go; of messages, in order
};

/// A call on its way. One object for all replays of a captured one.
class Exchange {
 public:
  Exchange(std::shared_ptr<State> state, Call call, bool captured);

  /// Goes on as far as the others have come. True when it is done, or its communicator is gone.
  bool poll();

 private:
  struct Take {
    int peer;
    std::uint64_t from;  ///< in what the peer gives
    std::byte* to;
    std::uint64_t bytes;
  };

  Segment& segment() const { return *state_->segment; }
  Slot& own() const { return segment().slot(state_->rank); }

  bool done();

  /// False while a fault holds it up.
  bool begin();

  /// Puts the next part into the buffer, once all have read the one before.
  bool publish();

  void describe() const;

  /// Takes what is for this rank, once all parts are there.
  bool read();

  /// What to take from whom. False where the ranks' calls do not fit.
  bool understand();

  bool take_from(int rank);

  /// The messages of a rank to this one go to the receives from it, in order.
  bool take_messages(int rank);

  bool differ(int rank, const std::string& other);

  std::shared_ptr<State> state_;
  Call call_;
  bool captured_;
  std::uint64_t length_ = 0;
  bool began_ = false;
  bool published_ = false;
  int chunk_ = 0;
  std::uint64_t longest_ = 0;
  std::chrono::steady_clock::time_point due_{};
  std::vector<Take> takes_;
  std::vector<std::vector<std::byte>> parts_;
};

}  // namespace emulator
