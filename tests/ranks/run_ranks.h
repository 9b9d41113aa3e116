// Tests whose body runs on several ranks: processes of the test's own program, joined by MPI.
#pragma once

#include <gtest/gtest.h>
#include <sys/types.h>

#include <chrono>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"

namespace invp::testing {

using Seconds = std::chrono::duration<double>;

/// True in a process that run_ranks started: the test's body is to run, and not to start ranks.
bool is_rank();

struct RanksOutcome {
  int code = -1;  ///< the launcher's; 128 + signal
  bool timed_out = false;
  double seconds = 0;
  std::vector<std::string> output;  ///< of each rank: stdout and stderr
  std::string launcher;             ///< what the launcher said
};

/// Ranks that are running. Ended with the object, one process at a time.
class RunningRanks {
 public:
  /// Starts this program `ranks` times, each with one thread, to run the test "Suite.Case".
  /// `variables`: "NAME=VALUE", for the ranks.
  RunningRanks(int ranks, const std::string& test, const std::vector<std::string>& variables = {});
  ~RunningRanks();
  RunningRanks(const RunningRanks&) = delete;
  RunningRanks& operator=(const RunningRanks&) = delete;

  pid_t launcher() const { return launcher_; }
  /// Waits until the rank has said who it is; 0 if it does not.
  pid_t pid(int rank) const;
  /// What the rank has said so far.
  std::string output(int rank) const;
  /// Waits until the rank has said `text`; false after ten seconds.
  bool said(int rank, const std::string& text) const;
  /// Waits for the launcher. Past the deadline everything is killed.
  RanksOutcome wait(Seconds deadline);
  /// Whether a rank's process is there, at the end of `within` at the latest.
  bool any_left(Seconds within) const;

 private:
  void kill_all() const;

  int ranks_;
  pid_t launcher_ = 0;
  bool ended_ = false;
  TempFolder folder_;
};

RanksOutcome run_ranks(int ranks, const std::string& test, Seconds deadline,
                       const std::vector<std::string>& variables = {});

/// "Suite.Case" of the test that runs.
std::string this_test();
/// Empty, or why tests with ranks cannot run here.
std::string why_no_ranks();

/// Runs the test that runs now on that many ranks, and wants it to pass on all of them.
void expect_ranks(int ranks, Seconds deadline = Seconds(60));

/// A test whose body runs on each of these numbers of ranks.
#define RANKS_TEST(suite, name, ...)                                            \
  static void suite##_##name##_on_ranks();                                      \
  TEST(suite, name) {                                                           \
    if (::invp::testing::is_rank()) return suite##_##name##_on_ranks();         \
    if (const std::string why = ::invp::testing::why_no_ranks(); !why.empty())  \
      GTEST_SKIP() << why;                                                      \
    for (const int ranks : {__VA_ARGS__}) ::invp::testing::expect_ranks(ranks); \
  }                                                                             \
  static void suite##_##name##_on_ranks()

}  // namespace invp::testing
