// Ranks on emulated GPUs, one each, for tests: MPI starts them and tells them NCCL's id.
#pragma once

#include <cstdlib>
#include <string>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/comm_nccl.h"
#include "engine/comm/gather.h"

namespace invp::testing {

/// This rank's GPU.
inline Device gpu_of_rank() {
  const Ranks ranks = start_mpi();
  setenv("INVP_EMULATED_GPUS", std::to_string(ranks.local_size).c_str(), 1);
  return {DeviceType::kCuda, ranks.local_rank};
}

inline std::shared_ptr<Communicator> join_gpus(std::chrono::duration<double> deadline,
                                               Device device = gpu_of_rank()) {
  const Ranks ranks = start_mpi();
  const auto watch = deadline_watch(ranks, deadline);
  const auto hosts = join_mpi(watch);
  const std::string id = broadcast_text(*hosts, "NCCL's id", ranks.rank == 0 ? new_nccl_id() : "");
  return join_nccl(ranks, id, device, watch);
}

}  // namespace invp::testing
