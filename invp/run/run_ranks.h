// The ranks that share a run (engine/comm/communicator.h): who computes what, and what they agree
// on before each step.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "data/load/batch_groups.h"
#include "engine/comm/communicator.h"

namespace invp {

/// What a rank says before a step, and what is answered: the totals, and whether any rank is to
/// stop or wants a checkpoint.
struct StepTicket {
  std::int64_t step = 0;    ///< counts the calls
  std::int64_t images = 0;  ///< of this rank's share
  std::int64_t bad = 0;     ///< of it, new ones that cannot be read
  bool stop = false;
  bool save = false;     ///< before the step
  double data_wait = 0;  ///< seconds since the last ticket that this rank waited for images
  /// Answered, now and then: "rank 5 (n3) keeps the others waiting 31 % of the time (data)".
  std::string note = {};
};

struct RunRanks {
  std::shared_ptr<Communicator> communicator = invp::alone();
  /// A collective call. Empty: by the communicator.
  std::function<StepTicket(const StepTicket& mine)> exchange = {};
  /// What enter() and move_on() call, if anything.
  std::function<void(const char* phase, std::int64_t step)> entering = {};
  std::function<void()> progress = {};
  std::string launched_by = {};  ///< "mpirun (Open MPI 4.1.4)"

  bool alone() const { return communicator->alone(); }
  /// Rank 0 writes every file, and speaks.
  bool first() const { return communicator->ranks().rank == 0; }
  /// Says that this rank is at something that takes long, so that the others wait for it.
  void enter(const char* phase, std::int64_t step) const {
    if (entering) entering(phase, step);
  }
  void move_on() const {
    if (progress) progress();
  }
};

/// The groups that a rank computes, or its piece of a group that several ranks share. Throws Error,
/// naming the way out, where neither number is a multiple of the other.
BatchPart share_of_rank(int groups, const Ranks& ranks);

/// The totals, by ranks.exchange or by the communicator.
StepTicket exchange_tickets(const RunRanks& ranks, const StepTicket& mine);

/// What a run computes in a step, and how ranks share it.
struct SharedStep {
  std::int64_t batch_size = 1;
  int groups = 1;
  double learning_rate = 0;
  std::string norms = "local";  ///< NormSharing by name
  const char* pictures = "images";
  const char* of = " of batch norm";  ///< what groups are
};

/// "batch 1024 = 8 ranks x 128 images, 8 groups of batch norm, lr 0.03, launched by srun".
std::string sharing_line(const RunRanks& ranks, const SharedStep& step);

}  // namespace invp
