#include "engine/comm/join.h"

#include "engine/comm/comm_mpi.h"
#include "engine/comm/comm_nccl.h"

namespace invp {

namespace {

/// An error of NCCL's is often that of all ranks: one says it.
std::shared_ptr<Communicator> join_gpus(JoinedRanks& joined) {
  Control& control = *joined.control;
  try {
    const std::string id = joined.launch.ranks.rank == 0 ? new_nccl_id() : std::string();
    return join_nccl(joined.launch.ranks, control.share(id), joined.device, joined.control);
  } catch (const RunLost&) {
    throw;
  } catch (const Error& error) {
    control.abort(error.what());
  }
}

}  // namespace

JoinedRanks join_ranks(const Limits& limits, const std::filesystem::path& folder,
                       const std::function<Device(const Ranks&)>& device_of) {
  const bool on_gpus = device_of != nullptr;
  limit_mpi(limits.rendezvous);
  JoinedRanks joined{.launch = find_launch(on_gpus)};
  const Ranks& ranks = joined.launch.ranks;
  if (ranks.size == 1) return joined;
  if (on_gpus) joined.device = device_of(ranks);
  std::shared_ptr<Communicator> hosts;
  if (joined.launch.starter == Starter::kMpi)
    hosts = join_mpi(deadline_watch(ranks, limits.rendezvous));
  joined.control = std::make_shared<Control>(
      ranks, hosts != nullptr ? meet_by(*hosts) : meet_at(joined.launch), limits, folder);
  if (on_gpus) {
    joined.hosts = hosts;
    joined.communicator = join_gpus(joined);
  } else {
    joined.communicator = join_mpi(joined.control);
  }
  return joined;
}

}  // namespace invp
