#include "engine/comm/join.h"

#include "engine/comm/comm_mpi.h"

namespace invp {

JoinedRanks join_ranks(const Limits& limits, const std::filesystem::path& folder) {
  limit_mpi(limits.rendezvous);
  JoinedRanks joined{.launch = find_launch()};
  const Ranks& ranks = joined.launch.ranks;
  if (ranks.size == 1) return joined;
  const auto first = join_mpi(deadline_watch(ranks, limits.rendezvous));
  joined.control = std::make_shared<Control>(ranks, meet_by(*first), limits, folder);
  joined.communicator = join_mpi(joined.control);
  return joined;
}

}  // namespace invp
