// Ranks that are killed, stopped, hung, or asked to end, as processes.
#include <gtest/gtest.h>

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <thread>

#include "engine/comm/join.h"
#include "engine/core/stop.h"
#include "tests/ranks/run_ranks.h"

namespace invp::testing {
namespace {

constexpr Limits kLimits{.rendezvous = Seconds(30),
                         .step = Seconds(2),
                         .silence = Seconds(2),
                         .beat = Seconds(0.2),
                         .end = Seconds(2)};
constexpr Seconds kLongest{25};

void on_signal(int signal) {
  request_stop(signal);
}

/// Steps with a sum in each until all ranks are to stop; says so, and after which.
void steps(const std::function<void(JoinedRanks&, int step)>& before = {}) {
  std::signal(SIGTERM, on_signal);
  std::signal(SIGUSR1, on_signal);
  JoinedRanks joined = join_ranks(kLimits);
  const Tensor x = Tensor::zeros({1000});
  for (int step = 0;; ++step) {
    if (before) before(joined, step);
    if (joined.control->exchange({.step = step}).stop) {
      std::cout << "stopped at " << step << " by " << stop_signal() << std::endl;
      return;
    }
    joined.communicator->all_reduce("gradients", x);
    if (step == 10) std::cout << "runs" << std::endl;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
}

/// In a rank `steps(...)`; in the test itself `check`, with three ranks that are at work.
template <class Check>
void with_three_ranks(const Check& check) {
  if (is_rank()) return steps();
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  RunningRanks ranks(3, this_test());
  for (int rank = 0; rank < 3; ++rank) ASSERT_TRUE(ranks.said(rank, "runs")) << ranks.output(rank);
  check(ranks);
}

void expect_said(const std::string& text, const std::vector<std::string>& parts) {
  for (const std::string& part : parts)
    EXPECT_NE(text.find(part), std::string::npos) << part << "\nin\n" << text;
}

TEST(Failures, ARankThatIsKilledIsNamed) {
  with_three_ranks([](RunningRanks& ranks) {
    const pid_t pid = ranks.pid(1);
    kill(pid, SIGKILL);
    const RanksOutcome outcome = ranks.wait(kLongest);
    EXPECT_FALSE(outcome.timed_out);
    EXPECT_NE(outcome.code, 0);
    expect_said(outcome.output[0],
                {"rank 1 (", ", pid " + std::to_string(pid) + ") ended at step "});
    EXPECT_FALSE(ranks.any_left(Seconds(5)));
  });
}

TEST(Failures, ARankThatHangsIsNamed) {
  with_three_ranks([](RunningRanks& ranks) {
    const pid_t pid = ranks.pid(2);
    kill(pid, SIGSTOP);
    const RanksOutcome outcome = ranks.wait(kLongest);
    EXPECT_FALSE(outcome.timed_out);
    EXPECT_NE(outcome.code, 0);
    EXPECT_LT(outcome.seconds, kLimits.silence.count() + 5);
    expect_said(outcome.output[0],
                {"rank 2 (", ", pid " + std::to_string(pid) + ") ", " at step ", ", in "});
    EXPECT_FALSE(ranks.any_left(Seconds(5)));
  });
}

// Nobody is there to tell the others.
TEST(Failures, WhenRank0HangsTheOthersEndThemselves) {
  with_three_ranks([](RunningRanks& ranks) {
    kill(ranks.pid(0), SIGSTOP);
    const RanksOutcome outcome = ranks.wait(kLongest);
    EXPECT_FALSE(outcome.timed_out);
    EXPECT_LT(outcome.seconds, kLimits.silence.count() + 5);
    expect_said(outcome.output[1], {"rank 0 (", "has not been heard of for 2.0 s"});
    EXPECT_FALSE(ranks.any_left(Seconds(5)));
  });
}

TEST(Failures, ASignalToAnyRankStopsAllAfterTheSameStep) {
  for (const int signal : {SIGTERM, SIGUSR1}) {
    with_three_ranks([&](RunningRanks& ranks) {
      kill(ranks.pid(signal == SIGTERM ? 2 : 0), signal);
      const RanksOutcome outcome = ranks.wait(kLongest);
      EXPECT_EQ(outcome.code, 0) << outcome.launcher;
      const std::string& first = outcome.output[0];
      const std::string stop = first.substr(std::min(first.find("stopped at"), first.size()));
      expect_said(stop, {"stopped at ", " by " + std::to_string(signal)});
      const std::string line = stop.substr(0, stop.find('\n'));
      for (const std::string& output : outcome.output) expect_said(output, {line + "\n"});
    });
    if (is_rank()) return;
  }
}

/// On three ranks, what rank 0 says; all are to be gone.
std::string first_of_three() {
  const RanksOutcome outcome = run_ranks(3, this_test(), kLongest);
  EXPECT_FALSE(outcome.timed_out);
  EXPECT_NE(outcome.code, 0);
  return outcome.output[0];
}

TEST(Failures, ARankThatDoesNotComeToACallIsNamed) {
  if (is_rank())
    return steps([](JoinedRanks& joined, int step) {
      if (step != 20 || joined.ranks().rank != 1) return;
      joined.control->entering("a long sleep", step);
      std::this_thread::sleep_for(std::chrono::minutes(1));
    });
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  expect_said(first_of_three(), {"rank 1 (", " at step 20, in a long sleep: rank ",
                                 " has waited for 2.0 s in exchange tickets"});
}

// MPI itself would wait for it for ever.
TEST(Failures, ARankThatDoesNotComeToTheStart) {
  if (is_rank()) {
    Limits limits = kLimits;
    limits.rendezvous = Seconds(1.5);
    const int absent = std::atoi(variable_of_process("INVP_TEST_ABSENT").c_str());
    if (announced_rank(variable_of_process) == absent)
      std::this_thread::sleep_for(std::chrono::minutes(1));
    join_ranks(limits);
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  for (const int absent : {1, 0}) {
    RunningRanks ranks(2, this_test(), {message("INVP_TEST_ABSENT=", absent)});
    const RanksOutcome outcome = ranks.wait(kLongest);
    EXPECT_FALSE(outcome.timed_out);
    EXPECT_NE(outcome.code, 0);
    const int other = 1 - absent;
    expect_said(outcome.output[static_cast<std::size_t>(other)],
                {message("invp: rank ", other, " ("),
                 " for other ranks in MPI_Init: one did not "
                 "come, or cannot be reached. "});
    EXPECT_FALSE(ranks.any_left(Seconds(10)));
  }
}

TEST(Failures, OtherOptionsOnOneRankAreRefused) {
  if (is_rank()) {
    JoinedRanks joined = join_ranks(kLimits);
    const std::string why = error_of([&] {
      joined.control->agree({{"lr", joined.ranks().rank == 3 ? "0.06" : "0.03"}});
    });
    std::cout << "refused: " << why << std::endl;
    return;
  }
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  const RanksOutcome outcome = run_ranks(4, this_test(), kLongest);
  for (const std::string& output : outcome.output)
    expect_said(output, {"refused: rank 3 (", "): lr is 0.06, rank 0's is 0.03"});
}

}  // namespace
}  // namespace invp::testing
