#include "tools/options/rank_options.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <iostream>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/comm_nccl.h"
#include "engine/core/cpu_share.h"
#include "engine/core/numerics.h"
#include "engine/core/stop.h"
#include "engine/devices/cuda_info.h"
#include "engine/devices/device_choice.h"
#include "engine/devices/gpu_report.h"
#include "engine/files/written.h"
#include "invp/report/text/progress.h"
#include "tools/options/rank_launcher.h"

namespace invp::cli {

namespace {

constexpr int kMostRanks = 4096;

int usable_gpus() {
  const CudaInfo cuda = cuda_info();
  return static_cast<int>(std::count_if(cuda.gpus.begin(), cuda.gpus.end(),
                                        [](const GpuInfo& gpu) { return obstacle(gpu).empty(); }));
}

/// How many --ranks asks for.
int wanted_ranks(const std::string& text) {
  if (text == "auto") return std::max(1, usable_gpus());
  const std::int64_t ranks = parse_integer(text);
  if (ranks < 1 || ranks > kMostRanks)
    throw UsageError(message("--ranks is a number from 1 to ", kMostRanks, " or auto, not ", text));
  return static_cast<int>(ranks);
}

/// Whether several ranks compute on GPUs. Throws UsageError for one GPU by its number.
bool on_gpus(const RankOptions& ranks) {
  if (ranks.device == nullptr) return false;
  const std::string& device = ranks.device->device;
  if (device.starts_with("cuda:"))
    throw UsageError(message("--device ", device,
                             " is one GPU, and each of several ranks has its own: --device cuda"));
  if (choose_device(device).device == kCpu) return false;
  if (nccl_library().empty())
    throw UsageError(message("several ranks on GPUs are joined by NCCL, which this build lacks: ",
                             kHowToGetNccl, ", or use --device cpu"));
  return true;
}

/// The GPU of a rank. A launcher may show each rank one GPU of its own only.
Device gpu_of(const Ranks& ranks) {
  const int gpus = usable_gpus();
  if (gpus > 1 && ranks.local_rank >= gpus)
    throw UsageError(message(ranks.local_size, " ranks on this machine, which has ", gpus,
                             " GPUs: start one a GPU, or use --device cpu"));
  return {DeviceType::kCuda, gpus == 1 ? 0 : ranks.local_rank};
}

int run_on_gpus(int ranks) {
  const int gpus = usable_gpus();
  if (ranks > gpus)
    throw UsageError(message("--ranks ", ranks, ": there ",
                             gpus == 1 ? "is 1 GPU" : message("are ", gpus, " GPUs"),
                             " here; --device cpu computes without"));
  return run_as_gpu_ranks(ranks);
}

/// Takes everything, and keeps nothing.
class Nothing : public std::streambuf {
 protected:
  int_type overflow(int_type c) override { return traits_type::not_eof(c); }
  std::streamsize xsputn(const char* /*text*/, std::streamsize count) override { return count; }
};

/// What a rank other than 0 says goes to a file, or nowhere. For good on stdout, where --json and
/// figures go; on stderr, that of C too, while it lives.
class Elsewhere {
 public:
  explicit Elsewhere(const std::filesystem::path& file) : err_(dup(STDERR_FILENO)) {
    const char* const path = file.empty() ? "/dev/null" : file.c_str();
    const int to = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (to >= 0) dup2(to, STDERR_FILENO);
    if (to >= 0) close(to);
    unsetenv(kTerminalBehind);  // one bar, that of rank 0
    std::cout.rdbuf(file.empty() ? static_cast<std::streambuf*>(&nothing()) : std::cerr.rdbuf());
  }
  ~Elsewhere() {
    std::cerr.flush();
    dup2(err_, STDERR_FILENO);
    close(err_);
    std::cout.rdbuf(&nothing());
  }
  Elsewhere(const Elsewhere&) = delete;
  Elsewhere& operator=(const Elsewhere&) = delete;

 private:
  static Nothing& nothing() {
    static Nothing only;
    return only;
  }

  int err_;
};

std::filesystem::path log_of(int rank, const std::filesystem::path& folder) {
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  std::string number = std::to_string(rank);
  number.insert(0, number.size() < 4 ? 4 - number.size() : 0, '0');
  return folder / ("rank-" + number + ".log");
}

/// What join_ranks() asks for a rank's GPU. A context on it takes its numerics from the process.
std::function<Device(const Ranks&)> gpus_for(const RankOptions& ranks) {
  const Launch launch = read_launch(variable_of_process, mpi_library());
  if (launch.ranks.size <= 1 || !on_gpus(ranks)) return {};
  set_numerics({.allow_tf32 = ranks.device->precision == "tf32",
                .deterministic = ranks.device->deterministic});
  return gpu_of;
}

/// An error of this rank is the end of all: rank 0 says it.
void end_together(JoinedRanks& joined, const std::function<void(JoinedRanks&)>& work) {
  try {
    work(joined);
  } catch (const RunLost&) {
    throw;
  } catch (const UsageError& error) {
    joined.control->abort(error.what(), 2);
  } catch (const Refused& error) {
    joined.control->abort(error.what(), 2);
  } catch (const std::bad_alloc&) {
    joined.control->abort("out of memory");
  } catch (const std::exception& error) {
    joined.control->abort(error.what());
  }
}

}  // namespace

void declare_ranks(Options& options, RankOptions& ranks, const DeviceOptions* device) {
  ranks.device = device;
  options.group("Ranks", Decides::kNothing);
  options
      .text("ranks", ranks.ranks, "N",
            "processes on this machine that share the work: a number, or auto for one a GPU; under "
            "mpirun, srun or torchrun their number counts (stop mpirun by SIGUSR1)")
      .not_a_setting();
  options
      .number("deadline", ranks.deadline, {0, 1e6, true},
              "seconds after which a rank that keeps the others waiting ends the run")
      .not_a_setting();
  options.flag("rank-logs", ranks.logs, "a file in the run folder for what each rank says")
      .not_a_setting();
}

void start_ranks(const RankOptions& ranks, const Options& options) {
  if (started_by_us()) return;
  const int wanted = wanted_ranks(ranks.ranks);
  const Launch launch = read_launch(variable_of_process, mpi_library());
  if (launch.ranks.size > 1) {
    if (options.given("ranks"))
      throw UsageError(message("--ranks is not for ranks that ", launch.by, " has started (",
                               launch.ranks.size, "): leave it out"));
    return;
  }
  if (wanted > 1) throw RanksEnded{on_gpus(ranks) ? run_on_gpus(wanted) : run_as_ranks(wanted)};
}

void on_ranks(const RankOptions& ranks, const std::filesystem::path& folder,
              const std::function<void(JoinedRanks&)>& work) {
  Limits limits;
  limits.step = Seconds(ranks.deadline);
  limits.silence = std::min(limits.silence, limits.step);
  limits.beat = std::min(limits.beat, limits.silence / 4);
  JoinedRanks joined = join_ranks(limits, folder, gpus_for(ranks));
  if (joined.control == nullptr) return work(joined);
  joined.control->progress_by(bytes_written);
  // NCCL moves what lies on GPUs.
  const bool on_cpus = joined.device == kCpu;
  if (on_cpus || joined.hosts != nullptr)
    joined.cores = share_cores(gather_cores(on_cpus ? *joined.communicator : *joined.hosts));
  if (joined.ranks().rank == 0) return end_together(joined, work);
  const Elsewhere elsewhere(ranks.logs ? log_of(joined.ranks().rank, folder)
                                       : std::filesystem::path());
  end_together(joined, work);
}

void check_device(const JoinedRanks& ranks, Device device) {
  if (ranks.ranks().size > 1 && device != ranks.device)
    throw UsageError(message(ranks.ranks().size, " ranks on ", device,
                             ": several ranks of this command compute on CPUs only: --device cpu"));
}

void take_share(DeviceOptions& device, const JoinedRanks& ranks) {
  if (device.threads == 0) device.threads = threads_of_rank(ranks);
  if (ranks.device != kCpu) device.device = message(ranks.device);
}

void declare_groups(Options& options, int& groups, NormSharing& norms) {
  options.integer("bn-groups", groups, {1, 1024},
                  "parts of a batch that are normalized apart, as on several GPUs");
  options
      .choice<NormSharing>("norms", norms, all_norm_sharings(),
                           "what a batch norm sees of the groups")
      .notes({"one group, also where several ranks share it", "all groups as one batch",
              "all groups, each of the same weight, as Detectron2's NaiveSyncBatchNorm"});
}

void declare_wire(Options& options, DType& wire) {
  options.choice<DType>("wire", wire, all_wires(), "what gradients travel in between ranks")
      .notes({"32 bits",
              "16 bits: half the bytes; sums of groups are rounded to that, on one rank too"});
}

void check_wire(DType wire, NormSharing norms) {
  if (wire == DType::kBF16 && norms != NormSharing::kLocal) {
    throw UsageError(
        "--wire bf16 rounds the gradient of each group, and with --norms sync or naive a rank's "
        "groups have one gradient: --norms local, or --wire fp32");
  }
}

void check_groups(const JoinedRanks& ranks, int groups, std::int64_t batch_size) {
  const int size = ranks.ranks().size;
  if (batch_size < size) {
    throw UsageError(message("--batch-size ", batch_size, " is less than one image for each of ",
                             size, " ranks: --batch-size ", size, " or more, or fewer ranks"));
  }
  try {
    share_of_rank(groups, ranks.ranks());
  } catch (const Error& error) {
    throw UsageError(error.what());
  }
}

RunRanks run_ranks(const JoinedRanks& ranks) {
  RunRanks run{.communicator = ranks.communicator, .launched_by = ranks.launch.by};
  if (ranks.control == nullptr) return run;
  run.exchange = [control = ranks.control.get()](const StepTicket& mine) {
    const Ticket total = control->exchange({.step = mine.step,
                                            .images = mine.images,
                                            .bad = mine.bad,
                                            .stop = mine.stop,
                                            .save = mine.save,
                                            .data_wait = mine.data_wait});
    return StepTicket{.step = total.step,
                      .images = total.images,
                      .bad = total.bad,
                      .stop = total.stop,
                      .save = total.save,
                      .note = total.note};
  };
  run.entering = [control = ranks.control.get()](const char* phase, std::int64_t step) {
    control->entering(phase, step, true);
  };
  run.progress = [control = ranks.control.get()] { control->progress(); };
  return run;
}

int threads_of_rank(const JoinedRanks& ranks) {
  return ranks.cores.threads;
}

std::string ranks_line(const JoinedRanks& ranks) {
  const Ranks who = ranks.ranks();
  if (who.size == 1) return {};
  return message("ranks    ", who.size, ", by ", ranks.launch.by, ", ", who.local_size,
                 " on this machine");
}

}  // namespace invp::cli
