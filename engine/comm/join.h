// The ranks of a run, together.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>

#include "engine/comm/communicator.h"
#include "engine/comm/control.h"
#include "engine/comm/cores.h"
#include "engine/comm/launch.h"

namespace invp {

struct JoinedRanks {
  Launch launch;
  std::shared_ptr<Control> control;     ///< null for one rank
  std::shared_ptr<Communicator> hosts;  ///< of ranks on GPUs that MPI started: it ends with this
  std::shared_ptr<Communicator> communicator = alone();
  Device device;           ///< this rank's, of several
  SharedCores cores = {};  ///< of several ranks on CPUs

  Ranks ranks() const { return communicator->ranks(); }
};

/// Finds the ranks that a launcher started with this one, if it did. Throws Refused or RunLost.
/// `folder` is for the records of ranks that lose each other (Control).
/// `device_of`: the GPU of a rank, where ranks are to compute on GPUs; without, they do on CPUs.
JoinedRanks join_ranks(const Limits& limits, const std::filesystem::path& folder = {},
                       const std::function<Device(const Ranks&)>& device_of = {});

}  // namespace invp
