// The ranks of a run, together.
#pragma once

#include <filesystem>
#include <memory>

#include "engine/comm/communicator.h"
#include "engine/comm/control.h"
#include "engine/comm/cores.h"
#include "engine/comm/launch.h"

namespace invp {

struct JoinedRanks {
  Launch launch;
  std::shared_ptr<Control> control;  ///< null for one rank
  std::shared_ptr<Communicator> communicator = alone();
  SharedCores cores = {};  ///< of several ranks on CPUs

  Ranks ranks() const { return communicator->ranks(); }
};

/// Finds the ranks that a launcher started with this one, if it did. Throws Refused or RunLost.
/// `folder` is for the records of ranks that lose each other (Control).
JoinedRanks join_ranks(const Limits& limits, const std::filesystem::path& folder = {});

}  // namespace invp
