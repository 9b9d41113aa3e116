// The cores that ranks compute on: launchers may bind each rank to some, or let all have all.
#pragma once

#include <string>
#include <vector>

#include "engine/comm/communicator.h"

namespace invp {

/// What one rank may use.
struct CoresOfRank {
  std::string host;
  std::vector<int> bound;  ///< numbers of the cores that it may run on
  int usable = 1;          ///< of them as many as it may keep busy (usable_cores())
  int of_host = 1;
};

struct SharedCores {
  /// For each rank; the same number for all, since it decides the last bits. 0: nothing is known.
  int threads = 0;
  std::string note;  ///< where a rank is bound to fewer cores than its share of the host
};

/// Ranks whose cores overlap share them; the rank with the fewest decides.
SharedCores share_cores(const std::vector<CoresOfRank>& ranks);

/// Of this process.
CoresOfRank own_cores();
/// Those of all ranks. A collective call.
std::vector<CoresOfRank> gather_cores(Communicator& ranks);

}  // namespace invp
