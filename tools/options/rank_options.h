// --ranks, --deadline, --rank-logs: a command as several processes that work as one.
#pragma once

#include <filesystem>
#include <functional>
#include <string>

#include "engine/comm/join.h"
#include "invp/run/run_ranks.h"
#include "layers/in_groups.h"
#include "tools/options/device_options.h"
#include "tools/options/options.h"

namespace invp::cli {

struct RankOptions {
  std::string ranks = "1";
  double deadline = 300;  ///< seconds
  bool logs = false;
  const DeviceOptions* device = nullptr;  ///< null: ranks compute on CPUs only
};

/// Under a heading of their own. None of them is a setting, or decides the weights. `device`, which
/// must outlive them: of commands whose ranks may have GPUs.
void declare_ranks(Options& options, RankOptions& ranks, const DeviceOptions* device = nullptr);

/// Thrown once the ranks that this process started have ended.
struct RanksEnded {
  int code;
};

/// Call first. Where --ranks asks for several ranks and no launcher has started this process,
/// starts this program with the same arguments as so many ranks and waits for them: throws
/// RanksEnded. A stop is passed on to them. Throws UsageError for --ranks under a launcher, and
/// where there is no MPI, or for GPUs too few of them or no NCCL.
void start_ranks(const RankOptions& ranks, const Options& options);

/// Joins the ranks and calls work; what it throws on one rank ends all. Only rank 0 is heard on
/// stdout and stderr: the others write to `folder`/rank-0001.log with --rank-logs, and nowhere
/// without. `folder` also gets the records of ranks that lose each other.
void on_ranks(const RankOptions& ranks, const std::filesystem::path& folder,
              const std::function<void(JoinedRanks&)>& work);

/// Throws UsageError for several ranks on a device that they cannot have.
void check_device(const JoinedRanks& ranks, Device device);

/// --bn-groups and --norms, which decide the weights.
void declare_groups(Options& options, int& groups, NormSharing& norms);
/// --wire, which decides the weights.
void declare_wire(Options& options, DType& wire);
/// Throws UsageError where gradients of several groups are added inside of the layers.
void check_wire(DType wire, NormSharing norms);
/// Throws UsageError where so many groups of batch norm, or images, cannot be shared by them.
void check_groups(const JoinedRanks& ranks, int groups, std::int64_t batch_size);

/// What a run takes of them. `ranks` must outlive it.
RunRanks run_ranks(const JoinedRanks& ranks);

/// Gives this rank its share: its GPU, and CPU threads where nothing else is asked for.
void take_share(DeviceOptions& device, const JoinedRanks& ranks);

/// CPU threads of each rank where nothing else is asked for: the ranks of a machine share its
/// cores, as far as these are not bound to others. 0, for all of them, where there is one rank.
int threads_of_rank(const JoinedRanks& ranks);

/// "ranks    2, by mpirun (Open MPI 4.1.4), 2 on this machine"; empty for one.
std::string ranks_line(const JoinedRanks& ranks);

}  // namespace invp::cli
