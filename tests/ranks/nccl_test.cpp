// Ranks on GPUs: the collective calls by NCCL, which the emulator plays between processes.
#include <gtest/gtest.h>

#include <iostream>
#include <thread>

#include "engine/comm/join.h"
#include "engine/core/captured_work.h"
#include "engine/core/memory.h"
#include "tests/emulator/emulator.h"
#include "tests/ranks/collective_checks.h"
#include "tests/ranks/join_gpus.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/close.h"

namespace invp::testing {
namespace {

constexpr Seconds kDeadline{20};

RANKS_TEST(Nccl, BringsWhatANaiveLoopBrings, 1, 2, 3, 4) {
  const Device gpu = gpu_of_rank();
  const auto ranks = join_gpus(kDeadline);
  for (const std::int64_t count : {0, 1, ranks->ranks().size - 1, 5'003, 20'001})
    check_all(*ranks, count, gpu);
  const std::int64_t many = 700'003;  // more than the emulator's buffer holds
  check_gather<float>(*ranks, many, gpu);
  check_exchange(*ranks, many / 2, gpu);
  check_broadcast(*ranks, many, gpu);
  const Tensor x = values<float>(ranks->ranks().rank, many).to(gpu);
  ranks->all_reduce("values", x);
  EXPECT_EQ(count_wrong<float>(x.to(kCpu), Reduction::kSum, ranks->ranks().size), 0);
}

RANKS_TEST(Nccl, TakesWhatLiesOnTheHost, 2) {
  const auto ranks = join_gpus(kDeadline);
  for (const std::int64_t count : {0, 1, 5'003}) check_all(*ranks, count);
}

RANKS_TEST(Nccl, AddsInATree, 4, 5) {
  const Device gpu = gpu_of_rank();
  const auto ranks = join_gpus(kDeadline);
  for (const std::int64_t repeats : {1, 600}) check_tree(*ranks, repeats, gpu);
}

/// What the tests above say of kFixed, they would not say of NCCL's own sums.
RANKS_TEST(Nccl, AddsFastInAnOrderOfItsOwn, 4) {
  const Device gpu = gpu_of_rank();
  const auto ranks = join_gpus(kDeadline);
  const std::array<float, 4> parts = {1e8F, 1, -1e8F, 1.5F};
  const Tensor x = Tensor::full({1}, parts[static_cast<std::size_t>(ranks->ranks().rank)]).to(gpu);
  ranks->all_reduce("values", x, Reduction::kSum, SumOrder::kFast);
  EXPECT_EQ(x.to(kCpu).item(), ((1e8F + 1) - 1e8F) + 1.5F);
  EXPECT_NE(x.to(kCpu).item(), (1e8F + 1) + (-1e8F + 1.5F));
}

RANKS_TEST(Nccl, OfAPart, 4) {
  const auto ranks = join_gpus(kDeadline);
  const int rank = ranks->ranks().rank;
  const auto part = ranks->split(rank % 2);
  EXPECT_EQ(part->ranks().size, 2);
  EXPECT_EQ(part->ranks().rank, rank / 2);
  EXPECT_EQ(part->ranks().local_rank, rank / 2);
  EXPECT_EQ(part->ranks().local_size, 2);
  const Tensor x = Tensor::from(std::vector<std::int64_t>{std::int64_t{1} << rank}, {1});
  part->all_reduce("bits", x);
  EXPECT_EQ(x.data<std::int64_t>()[0], rank % 2 == 0 ? 0b0101 : 0b1010);
  check_all(*part, 100, gpu_of_rank());
  check_all(*ranks, 100, gpu_of_rank());
}

// A rank that comes late to a call does not hold up the host of the others, but their device.
RANKS_TEST(Nccl, IsQueued, 2) {
  const Device gpu = gpu_of_rank();
  const auto ranks = join_gpus(kDeadline);
  const Tensor x = Tensor::full({100}, 1.0F).to(gpu);
  if (ranks->ranks().rank == 1) std::this_thread::sleep_for(Seconds(0.5));
  const auto start = std::chrono::steady_clock::now();
  ranks->all_reduce("values", x);
  x.copy_from(x.clone());  // comes after the sum
  const DeviceMark end(gpu);
  const Seconds queued = std::chrono::steady_clock::now() - start;
  ranks->wait(end);
  const Seconds waited = std::chrono::steady_clock::now() - start;
  if (ranks->ranks().rank == 0) {
    EXPECT_LT(queued.count(), 0.4);
    EXPECT_GT(waited.count(), queued.count());
  }
  EXPECT_EQ(x.to(kCpu).data<float>()[99], 2.0F);
}

// Kernels, copies and calls in one graph, which all ranks replay.
RANKS_TEST(Nccl, IsCapturedAndReplayed, 3) {
  const Device gpu = gpu_of_rank();
  const auto ranks = join_gpus(kDeadline);
  const int rank = ranks->ranks().rank;
  const Tensor x = Tensor::empty({20'000}, DType::kF32, gpu);
  const Tensor sum = Tensor::empty({20'000}, DType::kF32, gpu);
  const Tensor all = Tensor::empty({3, 20'000}, DType::kF32, gpu);
  CapturedWork work(make_memory_pool(gpu));
  const auto agree = [&](bool worked) {
    const Tensor flag = Tensor::from(std::vector<std::int64_t>{worked ? 1 : 0}, {1});
    ranks->all_reduce("captured", flag, Reduction::kMin);
    return flag.data<std::int64_t>()[0] == 1;
  };
  for (int turn = 0; turn < 6; ++turn) {
    x.copy_from(Tensor::full({20'000}, static_cast<float>(10 * turn + rank)));
    const bool replayed = work.run(
        [&] {
          sum.copy_from(x);
          ranks->all_reduce("values", sum);
          ranks->all_gather("values", x, all);
        },
        agree);
    EXPECT_EQ(replayed, turn > CapturedWork::kCalls) << work.why_not_captured();
    EXPECT_EQ(sum.to(kCpu).data<float>()[19'999], static_cast<float>(30 * turn + 3));
    EXPECT_EQ(all.to(kCpu).data<float>()[2 * 20'000], static_cast<float>(10 * turn + 2));
  }
}

// Where one rank cannot capture, none replays.
RANKS_TEST(Nccl, IsReplayedByAllOrNone, 2) {
  const Device gpu = gpu_of_rank();
  const auto ranks = join_gpus(kDeadline);
  const bool cannot = ranks->ranks().rank == 1;
  const Tensor x = Tensor::full({10}, 1.0F).to(gpu);
  CapturedWork work(make_memory_pool(gpu));
  for (int turn = 0; turn < 5; ++turn) {
    const bool replayed = work.run(
        [&] {
          if (cannot && turn >= CapturedWork::kCalls) (void)x.to(kCpu);  // not in a graph
          ranks->all_reduce("values", x);
        },
        [&](bool worked) {
          const Tensor flag = Tensor::from(std::vector<std::int64_t>{worked ? 1 : 0}, {1});
          ranks->all_reduce("captured", flag, Reduction::kMin);
          return flag.data<std::int64_t>()[0] == 1;
        });
    EXPECT_FALSE(replayed);
  }
  EXPECT_FALSE(work.why_not_captured().empty());
  EXPECT_EQ(x.to(kCpu).data<float>()[9], 32.0F);
}

RANKS_TEST(Nccl, MakesOneContext, 4) {
  const auto ranks = join_gpus(kDeadline);
  check_all(*ranks, 10, gpu_of_rank());
  EXPECT_EQ(emulator::contexts(), 1);
}

/// As launchers other than MPI's start ranks: by variables, and a port on rank 0's host.
void become_started_by(const std::vector<std::pair<std::string, std::string>>& variables) {
  for (const char* const name :
       {"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "MPI_LOCALNRANKS", "PMIX_RANK"})
    unsetenv(name);
  for (const auto& [name, value] : variables) setenv(name.c_str(), value.c_str(), 1);
}

RANKS_TEST(Nccl, RanksFindEachOtherWithoutMpi, 2, 3) {
  const Ranks who = start_mpi();  // only to know which of the processes this is
  const auto hosts = join_mpi(deadline_watch(who, kDeadline));
  const std::string job =
      broadcast_text(*hosts, "job", who.rank == 0 ? std::to_string(getpid()) : "");
  gpu_of_rank();
  const std::string rank = std::to_string(who.rank);
  const std::string size = std::to_string(who.size);
  const auto join = [&] {
    const JoinedRanks joined = join_ranks({}, {}, [](const Ranks& ranks) {
      return Device{DeviceType::kCuda, ranks.local_rank};
    });
    EXPECT_EQ(joined.ranks().rank, who.rank);
    EXPECT_EQ(joined.ranks().size, who.size);
    EXPECT_EQ(joined.device.index, who.rank);
    check_all(*joined.communicator, 100, joined.device);
    return joined.launch.by;
  };
  become_started_by({{"SLURM_STEP_NUM_TASKS", size},
                     {"SLURM_PROCID", rank},
                     {"SLURM_LOCALID", rank},
                     {"SLURM_STEP_TASKS_PER_NODE", size},
                     {"SLURM_STEP_NODELIST", "localhost"},
                     {"SLURM_JOB_ID", job},
                     {"SLURM_STEP_ID", "0"}});
  EXPECT_EQ(join(), "srun");
  become_started_by({{"WORLD_SIZE", size},
                     {"RANK", rank},
                     {"LOCAL_RANK", rank},
                     {"LOCAL_WORLD_SIZE", size},
                     {"MASTER_ADDR", "127.0.0.1"},
                     {"MASTER_PORT", "29500"},
                     {"TORCHELASTIC_RUN_ID", job}});
  EXPECT_EQ(join(), "torchrun");
}

/// What rank 0 said, of ranks of which something went wrong.
RanksOutcome outcome_of(int ranks, const std::vector<std::string>& variables) {
  const RanksOutcome outcome = run_ranks(ranks, this_test(), Seconds(30), variables);
  EXPECT_FALSE(outcome.timed_out);
  return outcome;
}

void expect_said(const RanksOutcome& outcome, std::size_t rank, const char* text) {
  EXPECT_NE(outcome.output[rank].find(text), std::string::npos)
      << "rank " << rank << ": " << outcome.output[rank];
}

/// Two calls, and what comes of them, on stderr.
void say_how_two_sums_end(Communicator& ranks, Device gpu) {
  const Tensor x = Tensor::zeros({100}, DType::kF32, gpu);
  const auto sum = [&](const char* name) {
    ranks.all_reduce(name, x);
    ranks.wait(DeviceMark(gpu));
  };
  std::cerr << "first: " << error_of([&] { sum("gradients"); }) << '\n';
  std::cerr << "second: " << error_of([&] { sum("updates"); }) << '\n';
}

TEST(Nccl, ThatHangsEndsAtADeadline) {
  if (is_rank()) {
    const auto ranks = join_gpus(Seconds(1));
    return say_how_two_sums_end(*ranks, gpu_of_rank());
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {"INVP_EMULATED_NCCL=hang:rank=1:op=0"});
  for (const std::size_t rank : {0UL, 1UL}) {
    expect_said(outcome, rank, "waited 1.0 s for the others in wait for the device");
    expect_said(outcome, rank, "second: [updates] an earlier exchange between ranks has failed");
  }
}

// Of six sums in turn the last is a replay in which rank 1 never comes.
TEST(Nccl, ThatHangsInAReplayEndsAtADeadline) {
  if (is_rank()) {
    const Device gpu = gpu_of_rank();
    const auto ranks = join_gpus(Seconds(1));
    const Tensor x = Tensor::zeros({100}, DType::kI64, gpu);
    CapturedWork work(make_memory_pool(gpu));
    int replays = 0;
    std::cerr << error_of([&] {
      for (int turn = 0; turn < 6; ++turn) {
        replays += work.run([&] { ranks->all_reduce("gradients", x); }) ? 1 : 0;
        ranks->wait(DeviceMark(gpu));
      }
    }) << ", after "
              << replays << " replays\n";
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {"INVP_EMULATED_NCCL=hang:rank=1:op=5"});
  expect_said(outcome, 0, "waited 1.0 s for the others in wait for the device, after 3 replays");
}

TEST(Nccl, ThatFailsSaysSoInNcclsWords) {
  if (is_rank()) {
    const auto ranks = join_gpus(kDeadline);
    return say_how_two_sums_end(*ranks, gpu_of_rank());
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {"INVP_EMULATED_NCCL=remote-error:op=0"});
  expect_said(outcome, 0, "NCCL: remote process exited or there was a network error");
  expect_said(outcome, 1, "second: [updates] an earlier exchange between ranks has failed");
}

TEST(Nccl, ThatNeverBeginsEndsAtADeadline) {
  if (is_rank()) {
    std::cerr << error_of([] { join_gpus(Seconds(1)); }) << '\n';
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {"INVP_EMULATED_NCCL=init-never"});
  expect_said(outcome, 0, "waited 1.0 s for the others in join ranks");
}

TEST(Nccl, RefusesTwoRanksOnOneGpu) {
  if (is_rank()) {
    gpu_of_rank();
    std::cerr << error_of([] { join_gpus(kDeadline, {DeviceType::kCuda, 0}); }) << '\n';
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {});
  expect_said(outcome, 0, "Duplicate GPU detected : rank 0 and rank 1 both on CUDA device 0");
}

TEST(Nccl, NamesCallsThatDiffer) {
  if (is_rank()) {
    const Device gpu = gpu_of_rank();
    const auto ranks = join_gpus(kDeadline);
    const Tensor x = Tensor::zeros({ranks->ranks().rank == 0 ? 100 : 101}, DType::kI64, gpu);
    std::cerr << error_of([&] {
      ranks->all_reduce("gradients", x);
      ranks->wait(DeviceMark(gpu));
    }) << '\n';
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {});
  expect_said(outcome, 0, "rank 0: all_reduce of 100 i64, sum; rank 1: all_reduce of 101 i64, sum");
}

// Captured here, called there.
TEST(Nccl, NamesCallsOfWhichOneIsCaptured) {
  if (is_rank()) {
    const Device gpu = gpu_of_rank();
    const auto ranks = join_gpus(kDeadline);
    const Tensor x = Tensor::zeros({100}, DType::kI64, gpu);
    CapturedWork work(make_memory_pool(gpu));
    const auto sum = [&] { ranks->all_reduce("gradients", x); };
    std::cerr << error_of([&] {
      for (int turn = 0; turn < 4; ++turn) ranks->ranks().rank == 0 ? (void)work.run(sum) : sum();
      ranks->wait(DeviceMark(gpu));
    }) << '\n';
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = outcome_of(2, {});
  expect_said(outcome, 0,
              "rank 0: all_reduce of 100 i64, sum, captured; rank 1: all_reduce of 100 i64, sum");
}

}  // namespace
}  // namespace invp::testing
