// What the collective calls bring, against naive loops over what all ranks have.
#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/gather.h"
#include "tests/ranks/collective_checks.h"
#include "tests/ranks/run_ranks.h"

namespace invp::testing {
namespace {

constexpr Seconds kDeadline{20};

std::shared_ptr<Communicator> join(std::int64_t slice = std::int64_t{1} << 20) {
  return join_mpi(deadline_watch(start_mpi(), kDeadline), slice);
}

RANKS_TEST(Collectives, BringWhatANaiveLoopBrings, 1, 2, 3, 4, 8) {
  const auto ranks = join();
  for (const std::int64_t count : {0, 1, ranks->ranks().size - 1, 5'003}) check_all(*ranks, count);
  const std::int64_t many = 1'000'003;
  check_gather<float>(*ranks, many, kCpu);
  check_exchange(*ranks, many / 4, kCpu);
  check_broadcast(*ranks, many, kCpu);
  const Tensor x = values<float>(ranks->ranks().rank, many);
  ranks->all_reduce("values", x);
  EXPECT_EQ(count_wrong<float>(x, Reduction::kSum, ranks->ranks().size), 0);
}

RANKS_TEST(Collectives, CutIntoSlicesBringTheSame, 3) {
  const auto ranks = join(64);
  for (const std::int64_t count : {1, 15, 16, 17, 999, 5'003}) check_all(*ranks, count);
}

RANKS_TEST(Collectives, AddInATree, 4, 5) {
  const auto ranks = join();
  for (const std::int64_t repeats : {1, 20'000}) check_tree(*ranks, repeats);
}

RANKS_TEST(Collectives, OfAPart, 5) {
  const auto ranks = join();
  const int rank = ranks->ranks().rank;
  const auto part = ranks->split(rank % 2);
  EXPECT_EQ(part->ranks().size, rank % 2 == 0 ? 3 : 2);
  EXPECT_EQ(part->ranks().rank, rank / 2);
  EXPECT_EQ(part->ranks().local_size, part->ranks().size);
  const Tensor x = Tensor::from(std::vector<std::int64_t>{std::int64_t{1} << rank}, {1});
  part->all_reduce("bits", x);
  EXPECT_EQ(x.data<std::int64_t>()[0], rank % 2 == 0 ? 0b10101 : 0b01010);
}

RANKS_TEST(Collectives, RefuseWhatTheyCannotDo, 2) {
  const auto ranks = join();
  const auto refused = [&](const std::function<void()>& call, const char* why) {
    EXPECT_NE(error_of(call).find(why), std::string::npos) << why;
  };
  const Tensor three = Tensor::zeros({3});
  refused([&] { ranks->broadcast("x", three, 2); }, "[x] no rank 2 among 2");
  EXPECT_EQ(ranks->ranks().local_size, 2);
}

RANKS_TEST(Collectives, NameTheMinorityThatHasOtherValues, 2, 5) {
  const auto ranks = join();
  const int size = ranks->ranks().size;
  check_alike(*ranks, "weights", 77);
  const std::string others = error_of(
      [&] { check_alike(*ranks, "weights", ranks->ranks().rank % 3 == 0 ? 7 : 1U << 31); });
  EXPECT_EQ(others.substr(0, others.find(':')),
            size == 2 ? "rank 1 has other weights than rank 0"
                      : "ranks 0, 3 have other weights than the rest");
}

/// Rank 1 does not come to the sum.
TEST(Collectives, EndAtADeadlineThatSaysWhoWaitsForWhat) {
  if (is_rank()) {
    const Ranks who = start_mpi();
    const auto ranks = join_mpi(deadline_watch(who, Seconds(0.5)));
    if (who.rank == 1) std::this_thread::sleep_for(std::chrono::minutes(1));
    const Tensor x = Tensor::zeros({100});
    std::cerr << error_of([&] { ranks->all_reduce("gradients", x); }) << '\n';
    std::cerr << error_of([&] { ranks->all_reduce("updates", x); }) << '\n';
    std::exit(1);
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = run_ranks(2, this_test(), Seconds(20));
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_NE(outcome.code, 0);
  const std::string& said = outcome.output[0];
  EXPECT_NE(said.find("rank 0 of 2 ("), std::string::npos) << said;
  EXPECT_NE(said.find("waited 0.5 s for the others in all_reduce gradients"), std::string::npos)
      << said;
  EXPECT_NE(said.find("[updates] an earlier exchange between ranks has failed"), std::string::npos)
      << said;
}

}  // namespace
}  // namespace invp::testing
