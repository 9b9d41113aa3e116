// The contact between ranks beside their tensors: a small star over TCP, in whose middle is rank 0
// (hub.h). A thread of each rank sends a heartbeat; whoever is gone, silent or late is named, and
// all ranks end.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "engine/comm/launch.h"
#include "engine/comm/limits.h"
#include "engine/comm/watch.h"
#include "engine/comm/wire.h"

namespace invp {

/// The run is at its end because of some rank: "rank 5 (n3, pid 812) ended at step 8123, in
/// all_reduce gradients". All ranks throw it; the one that is to `speak` prints it,
/// unless the thread that keeps contact has done so.
class RunLost : public Error {
 public:
  RunLost(const std::string& why, bool speak, int code = 1, std::string calls = {})
      : Error(why), speak_(speak), code_(code), calls_(std::move(calls)) {}
  bool speak() const { return speak_; }
  int code() const { return code_; }  ///< for the process to end with
  /// Lines to be printed behind it: what each rank was doing. On rank 0, where it was asked for.
  const std::string& calls() const { return calls_; }

 private:
  bool speak_;
  int code_;
  std::string calls_;
};

/// Where the ranks of a run meet.
struct MeetingPlace {
  std::vector<std::string> hosts;  ///< of rank 0; the first that answers is taken
  std::vector<int> ports = {};     ///< the same: of others may be somebody else's
  std::string token;               ///< what only this run knows
  Socket listening;                ///< of rank 0
};

/// What nobody guesses.
std::string random_token();
/// Of rank 0's choice: a free port, told to the others by a broadcast.
MeetingPlace meet_by(Communicator& ranks);
/// Where a launcher's variables say, of a start by anybody but MPI. Rank 0 listens there. Throws
/// Error where it cannot.
MeetingPlace meet_at(const Launch& launch);

/// What a rank says before a step, and what is answered: the totals.
struct Ticket {
  std::int64_t step = 0;
  std::int64_t images = 0;
  std::int64_t bad = 0;  ///< pictures that cannot be read
  bool plain = true;     ///< a full share; answered: all of them
  bool stop = false;     ///< answered: any of them
  bool save = false;
  double data_wait = 0;  ///< seconds since the last ticket in which this rank waited for images
  /// Answered, each hundredth time: "rank 5 (n3) keeps the others waiting 31 % of the time
  /// (data)".
  std::string note = {};
};

/// One a run. Used by the main thread.
class Control final : public Watch {
 public:
  /// Meets the other ranks. Throws RunLost when they do not come.
  /// Until it is destroyed, a stop that is asked of one rank (engine/core/stop.h) waits for the
  /// ranks to agree on it in exchange(). `folder`: where a rank that is lost leaves the record of
  /// its last calls, if it can; empty: nowhere.
  Control(const Ranks& ranks, MeetingPlace place, const Limits& limits,
          std::filesystem::path folder = {});
  /// Says goodbye. While an exception is on its way it tells the others that this rank gives up.
  ~Control() override;
  Control(const Control&) = delete;
  Control& operator=(const Control&) = delete;

  /// Names and values that must be the same on all ranks, which come to it within the deadline of
  /// a step, or are at something that takes long. Throws Refused on all of them, naming
  /// rank, item and both values.
  void agree(const std::vector<std::pair<std::string, std::string>>& facts);
  /// What rank 0 says, a few words without zero bytes: a collective call. Throws RunLost.
  std::string share(const std::string& of_first);
  /// All ranks call it for the same steps. Throws RunLost. A stop that is agreed on stops this
  /// process too (engine/core/stop.h), by the signal that came.
  Ticket exchange(const Ticket& mine);
  /// What this rank is at, for heartbeats and messages: "backward". `slow`: others may wait for as
  /// long as progress() is called.
  void entering(const char* phase, std::int64_t step, bool slow = false);
  void progress();
  /// `count` moves while this rank is at something that takes long: bytes written. Called by
  /// another thread.
  void progress_by(std::function<std::uint64_t()> count);
  /// Ends the run on all ranks, with this exit code and one line: "rank 3 (n2, pid 7): ...", or
  /// without who says it where all say the same at once. Throws RunLost.
  [[noreturn]] void abort(const std::string& why, int code = 1);

  void entered(const CollectiveCall& call) override;
  void left(const CollectiveCall& call) override;
  void waiting(const CollectiveCall& call, Seconds since) override;

 private:
  class Contact;
  std::unique_ptr<Contact> contact_;
  Seconds complain_after_{0};
};

}  // namespace invp
