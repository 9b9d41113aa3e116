// What the hub knows of each rank.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/comm/last_calls.h"
#include "engine/comm/wire.h"

namespace invp {

/// The state of a rank as its last heartbeat had it.
struct Beat {
  std::int64_t step = 0;
  std::uint64_t calls = 0;  ///< entered so far
  bool in_call = false;
  bool slow = false;  ///< at something that may take long while `progress` moves
  std::uint64_t progress = 0;
  std::string what;  ///< "all_reduce gradients", or the phase between calls
  std::chrono::steady_clock::time_point moved = std::chrono::steady_clock::now();

  std::vector<std::string> fields() const;
  /// Sets `moved` if something differs.
  void take(const std::vector<std::string>& fields);
  /// Known from a ticket, before the next heartbeat.
  void at_step(const std::string& number);
};

struct Peer {
  int rank = 0;
  bool came = false;
  bool left = false;
  std::string host;
  std::string pid;
  Socket socket;
  Inbox inbox;
  std::chrono::steady_clock::time_point heard;
  Beat beat;
  std::optional<std::vector<std::string>> facts;
  std::optional<std::vector<std::string>> said;  ///< to all, by rank 0
  std::optional<std::vector<std::string>> ticket;
  std::chrono::steady_clock::time_point ticket_at;  ///< when it came
  std::optional<std::vector<std::string>> failure;  ///< why, and the exit code
  std::string complaint;                            ///< the call that it waits in
  std::string waited;                               ///< how long, in words
  Seconds waited_seconds{0};
  std::chrono::steady_clock::time_point complained;
  std::optional<LastCalls> last_calls;  ///< told once the run is lost

  /// " at step 8123, in all_reduce gradients"
  std::string where() const;
};

class Peers {
 public:
  using Given = std::optional<std::vector<std::string>>;

  explicit Peers(int ranks) : peers_(static_cast<std::size_t>(ranks)) {
    for (int rank = 0; rank < ranks; ++rank) peers_[static_cast<std::size_t>(rank)].rank = rank;
  }
  auto begin() { return peers_.begin(); }
  auto end() { return peers_.end(); }
  /// Null if there is no rank of this number.
  Peer* find(const std::string& rank);

  bool all_came() const;
  bool all_left() const;
  /// No connection is left.
  bool all_gone() const;
  bool all_gave(Given Peer::*what) const;

  /// "rank 5 (n3, pid 812)"
  std::string name(const Peer& peer) const;
  /// "rank 3" or "ranks 3 and 5", of those that have not come.
  std::string missing() const;
  /// "rank 3 (n2): lr is 0.06, rank 0's is 0.03"; empty if all gave the same facts, which are
  /// forgotten.
  std::string difference();

  struct Totals {
    std::string difference;  ///< why there are none
    std::vector<std::string> fields;
  };
  /// Of the tickets, which are forgotten.
  Totals totals();
  /// Call for each round of tickets, before totals(). After every hundredth: "rank 5 (n3) keeps the
  /// others waiting 31 % of the time (data)", if there is such a rank; else empty.
  std::string who_is_slow();

  /// Of the ranks that have failed: what the lowest said, and that it was this rank unless all
  /// say the same.
  std::string why_failed() const;

  /// What all were doing, a line for each group of ranks (last_calls.h).
  std::string last_calls() const;

  /// Why the complaint of this rank ends the run; empty if it is to wait on.
  std::string late_for(const Peer& waiting, Seconds slow) const;

 private:
  /// How long the last to come has kept the others waiting, over some rounds.
  struct Slowness {
    std::chrono::steady_clock::time_point since;
    int rounds = 0;
    std::vector<Seconds> waited;  ///< for each rank
    std::vector<Seconds> data;    ///< of it, while that rank waited for its images
  };

  std::vector<Peer> peers_;
  Slowness slowness_;
};

}  // namespace invp
