#include "engine/comm/launch.h"

#include <algorithm>
#include <cstdlib>
#include <numeric>

#include "engine/comm/comm_mpi.h"
#include "engine/core/hash.h"

namespace invp {

namespace {

int number(const Environment& environment, const char* name, int otherwise) {
  const std::string text = environment(name);
  char* end = nullptr;
  const long value = std::strtol(text.c_str(), &end, 10);
  return text.empty() || *end != '\0' || value < 0 || value > 1'000'000 ? otherwise
                                                                        : static_cast<int>(value);
}

/// Of several ranks, started by what follows.
template <class... Parts>
[[noreturn]] void refuse(const Parts&... parts) {
  throw Refused(message(parts...));
}

/// A launcher of MPI ranks, by the variables that it sets.
struct MpiLauncher {
  const char* size;
  const char* rank;
  const char* family;  ///< the MPI that it starts; any where that is null
  const char* by;
};

// The order matters: srun --mpi=pmix sets PMIX_RANK and its own, mpirun PMIX_RANK too.
constexpr MpiLauncher kMpiLaunchers[] = {
    {"OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "Open MPI", "mpirun"},
    {"PMI_SIZE", "PMI_RANK", "MPICH", "mpiexec"},
    {"MPI_LOCALNRANKS", "MPI_LOCALRANKID", "MPICH", "mpiexec"},
};

/// Set by srun only: those of its job are also set in batch scripts and shells.
int srun_tasks(const Environment& environment) {
  return number(environment, "SLURM_STEP_NUM_TASKS", 0);
}

std::string started_as(const MpiLauncher& launcher, int size) {
  return message(size, " ranks started by ", launcher.by, " of ", launcher.family);
}

Launch by_mpi(const MpiLauncher& launcher, const Environment& environment, const std::string& mpi) {
  Launch launch{.starter = Starter::kMpi};
  launch.ranks.size = number(environment, launcher.size, 1);
  launch.ranks.rank = number(environment, launcher.rank, 0);
  launch.by = message(launcher.by, " (", mpi, ")");
  if (launch.ranks.size <= 1) return launch;
  if (mpi.empty())
    refuse(started_as(launcher, launch.ranks.size), ", and this build has no MPI: ", kHowToGetMpi);
  const bool from_srun = srun_tasks(environment) > 1;
  if (from_srun && std::string_view(launcher.family) == "MPICH") {  // srun --mpi=pmi2
    if (!mpi.starts_with("MPICH"))
      refuse(launch.ranks.size,
             " tasks started by srun --mpi=pmi2, which do not find each other with ", mpi,
             ": use srun --mpi=pmix");
    launch.by = message("srun (", mpi, ")");
  } else if (!mpi.starts_with(launcher.family)) {
    refuse(started_as(launcher, launch.ranks.size), ", but this program has ", mpi,
           ": start it with the launcher of ", mpi);
  }
  return launch;
}

/// "2(x3),1": tasks of the node of this number.
int tasks_of_node(const std::string& text, int node) {
  std::size_t at = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find(',', at), text.size());
    const std::string part = text.substr(at, end - at);
    const std::size_t times = part.find("(x");
    const int repeats = times == std::string::npos ? 1 : std::atoi(part.c_str() + times + 2);
    if (node < repeats) return std::max(1, std::atoi(part.c_str()));
    node -= repeats;
    at = end + 1;
  }
  return 1;
}

/// Set by variables_of_rank().
constexpr const char* kRank = "INVP_RANK";
constexpr const char* kSize = "INVP_RANKS";
constexpr const char* kPort = "INVP_HUB_PORT";
constexpr const char* kToken = "INVP_HUB_TOKEN";
constexpr const char* kSocket = "INVP_HUB_SOCKET";

Launch by_us(const Environment& environment) {
  Launch launch{.starter = Starter::kOwn, .by = "--ranks"};
  launch.ranks.size = launch.ranks.local_size = number(environment, kSize, 1);
  launch.ranks.rank = launch.ranks.local_rank = number(environment, kRank, 0);
  launch.host = "127.0.0.1";
  launch.name = environment(kToken);
  launch.ports = {number(environment, kPort, 0)};
  launch.socket = launch.ranks.rank == 0 ? number(environment, kSocket, -1) : -1;
  return launch;
}

Launch by_srun(const Environment& environment, const std::string& mpi) {
  Launch launch{.starter = Starter::kSrun};
  launch.ranks.size = srun_tasks(environment);
  launch.ranks.rank = number(environment, "SLURM_PROCID", 0);
  launch.ranks.local_rank = number(environment, "SLURM_LOCALID", 0);
  launch.ranks.local_size = tasks_of_node(environment("SLURM_STEP_TASKS_PER_NODE"),
                                          number(environment, "SLURM_NODEID", 0));
  launch.host = first_host(environment("SLURM_STEP_NODELIST"));
  launch.name = environment("SLURM_JOB_ID") + "." + environment("SLURM_STEP_ID");
  launch.ports = ports_of(launch.name);
  launch.by = "srun";
  if (environment("PMIX_RANK").empty()) return launch;
  if (mpi.starts_with("MPICH 5") || mpi.starts_with("Open MPI 5"))
    refuse(launch.ranks.size, " tasks started by srun --mpi=pmix, whose PMIx is too old for ", mpi,
           ": start them with mpirun in a batch script");
  launch.starter = Starter::kMpi;
  launch.by = message("srun --mpi=pmix (", mpi, ")");
  return launch;
}

Launch by_torchrun(const Environment& environment) {
  Launch launch{.starter = Starter::kTorchrun};
  launch.ranks.size = number(environment, "WORLD_SIZE", 1);
  launch.ranks.rank = number(environment, "RANK", 0);
  launch.ranks.local_rank = number(environment, "LOCAL_RANK", 0);
  launch.ranks.local_size = number(environment, "LOCAL_WORLD_SIZE", 1);
  launch.host = environment("MASTER_ADDR");
  const std::string run = environment("TORCHELASTIC_RUN_ID");
  launch.name = (run.empty() ? environment("MASTER_PORT") : run) + "." +
                environment("TORCHELASTIC_RESTART_COUNT");
  launch.ports = ports_of(launch.name);
  launch.by = run.empty() ? "RANK and WORLD_SIZE" : "torchrun";
  return launch;
}

}  // namespace

std::string variable_of_process(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Launch read_launch(const Environment& environment, const std::string& mpi) {
  if (!environment(kRank).empty() && !environment(kToken).empty()) return by_us(environment);
  for (const MpiLauncher& launcher : kMpiLaunchers) {
    if (number(environment, launcher.size, 0) == 0) continue;
    Launch launch = by_mpi(launcher, environment, mpi);
    if (launch.ranks.size > 1 || srun_tasks(environment) <= 1) return launch;
  }
  if (number(environment, "WORLD_SIZE", 0) > 1 && !environment("RANK").empty() &&
      !environment("MASTER_ADDR").empty())
    return by_torchrun(environment);
  if (srun_tasks(environment) > 1) return by_srun(environment, mpi);
  return {};
}

void check_size(const Launch& launch, int size, const std::string& mpi) {
  if (launch.ranks.size == size) return;
  refuse(launch.by, " started ", launch.ranks.size, " ranks, of which ", mpi, " sees ", size,
         ": start them with the mpirun or mpiexec of ", mpi);
}

std::vector<std::string> variables_of_rank(int rank, int size, int port, const std::string& token,
                                           int socket) {
  return {message(kRank, '=', rank), message(kSize, '=', size), message(kPort, '=', port),
          message(kToken, '=', token), message(kSocket, '=', socket)};
}

int announced_rank(const Environment& environment) {
  if (!environment(kToken).empty()) return number(environment, kRank, 0);
  for (const MpiLauncher& launcher : kMpiLaunchers)
    if (!environment(launcher.rank).empty()) return number(environment, launcher.rank, 0);
  if (srun_tasks(environment) > 1) return number(environment, "SLURM_PROCID", 0);
  return number(environment, "WORLD_SIZE", 1) > 1 ? number(environment, "RANK", 0) : 0;
}

Launch find_launch(bool on_gpus) {
  const std::string mpi = mpi_library();
  Launch launch = read_launch(variable_of_process, mpi);
  if (launch.ranks.size == 1) return {};
  if (on_gpus && launch.starter != Starter::kMpi) return launch;
  if (launch.starter == Starter::kOwn)
    refuse(launch.ranks.size, " ranks started for GPUs, which this one does not have");
  if (launch.starter == Starter::kSrun)
    refuse(launch.ranks.size, " tasks started by srun, which do not find each other: use ",
           mpi.starts_with("MPICH") ? "srun --mpi=pmi2" : "srun --mpi=pmix");
  if (launch.starter == Starter::kTorchrun)
    refuse(launch.ranks.size, " ranks started by ", launch.by,
           ", which on CPUs do not find each other: use mpirun -n ", launch.ranks.size,
           " --bind-to none invp ...");
  const Ranks ranks = start_mpi();
  check_size(launch, ranks.size, mpi);
  launch.ranks = ranks;
  return launch;
}

std::vector<int> ports_of(const std::string& name) {
  constexpr int kFirst = 15000;  // below those that systems give to connections
  constexpr int kRange = 1000;
  constexpr int kCount = 16;
  Hash hash;
  hash.add_text(name);
  std::vector<int> ports(kCount);
  std::iota(ports.begin(), ports.end(), kFirst + static_cast<int>(hash.value() % kRange) * kCount);
  return ports;
}

std::string first_host(const std::string& list) {
  std::string host;
  for (std::size_t at = 0; at < list.size() && list[at] != ','; ++at) {
    if (list[at] != '[') {
      host += list[at];
      continue;
    }
    const std::size_t end = list.find(']', at);
    host += list.substr(at + 1, list.find_first_of(",-]", at) - at - 1);
    if (end == std::string::npos) break;
    at = end;
  }
  return host;
}

}  // namespace invp
