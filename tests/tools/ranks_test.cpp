// --ranks: the program as the parent of its ranks.
#include "tests/support/ranks.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <spawn.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "tests/tools/program.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;

const std::string kForever = "bench comm --ranks 3 --elements 1000 --seconds 60 ";

#define NEEDS_RANKS() \
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why

/// "NAME=VALUE", each ended by a zero byte.
std::string environment_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/environ", std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// Processes with `mark` in their environment.
std::vector<pid_t> marked(const std::string& mark) {
  std::vector<pid_t> found;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid > 0 && environment_of(pid).find(mark) != std::string::npos) found.push_back(pid);
  }
  return found;
}

/// `invp bench comm --ranks 3` that goes on until it is ended, its processes known by a variable.
class Running {
 public:
  explicit Running(const std::string& more = "") : mark_("INVP_TEST_MARK=" + (folder_ / "mark")) {
    const std::string command = "exec env '" + mark_ + "' " + program() + " " + kForever + more;
    std::string shell = "/bin/sh", option = "-c", line = command;
    char* words[] = {shell.data(), option.data(), line.data(), nullptr};
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const std::string out = folder_ / "out";
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_adddup2(&files, 1, 2);
    EXPECT_EQ(posix_spawn(&pid_, "/bin/sh", &files, nullptr, words, environ), 0);
    posix_spawn_file_actions_destroy(&files);
  }
  ~Running() {
    for (const pid_t pid : marked(mark_)) kill(pid, SIGKILL);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  /// Of a rank; 0 if there is none.
  pid_t rank(int number) const {
    for (const pid_t pid : marked(mark_)) {
      const std::string environment = environment_of(pid);
      for (const char* const name : {"OMPI_COMM_WORLD_RANK=", "PMI_RANK="})
        if (environment.find(name + std::to_string(number) + '\0') != std::string::npos) return pid;
    }
    return 0;
  }
  std::string said() const { return read_all(folder_ / "out"); }
  /// Until its ranks are at work.
  bool at_work() const {
    return within(20, [&] { return said().find("ranks    3, by ") != std::string::npos; });
  }
  int wait() const {
    int status = 0;
    const bool ended = within(20, [&] { return waitpid(pid_, &status, WNOHANG) == pid_; });
    EXPECT_TRUE(ended);
    return exit_code(status);
  }
  bool all_gone(int seconds) const {
    return within(seconds, [&] { return marked(mark_).empty(); });
  }

 private:
  template <class Done>
  static bool within(int seconds, const Done& done) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
    while (!done()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  Scratch folder_;
  std::string mark_;
  pid_t pid_ = 0;
};

TEST(Ranks, PrintOnceAndReportOnce) {
  NEEDS_RANKS();
  const Outcome two = run_invp("bench comm --ranks 2 --elements 2000 --repeats 2 --json");
  ASSERT_EQ(two.code, 0) << two.err;
  const auto results = nlohmann::json::parse(two.last_line());
  EXPECT_EQ(results["ranks"], 2);
  EXPECT_EQ(std::count(two.out.begin(), two.out.end(), '{'), 1);
  EXPECT_NE(two.err.find("ranks    2, by "), std::string::npos) << two.err;
  EXPECT_EQ(std::count(two.err.begin(), two.err.end(), '\n'), 1) << two.err;
}

TEST(Ranks, ShareAMeasuredStep) {
  NEEDS_RANKS();
  const Outcome two = run_invp(
      "bench step --ranks 2 --bn-groups 2 --width 4 --batch-size 9 --image-size 16 --bank 64 "
      "--background 16 --hard-positives 4 --repeats 1 --warmups 0 --device cpu --json");
  ASSERT_EQ(two.code, 0) << two.err;
  const auto results = nlohmann::json::parse(two.last_line());
  EXPECT_EQ(results["ranks"], 2);
  EXPECT_EQ(results["bn_groups"], 2);
  EXPECT_GT(results["images_per_second"], 0);
}

// Two cores, whatever the machine has.
TEST(Ranks, ShareTheCoresThatThereAre) {
  NEEDS_RANKS();
  if (std::system("taskset -c 0,1 true 2>/dev/null") != 0) GTEST_SKIP() << "no two cores";
  const std::string step =
      "bench step --width 4 --batch-size 8 --image-size 16 --bank 64 --background 16 "
      "--hard-positives 4 --repeats 1 --warmups 0 --device cpu ";
  const Outcome one = run_invp(step, "env -u OMP_NUM_THREADS taskset -c 0,1");
  EXPECT_THAT(one.err, ::testing::HasSubstr("cpu, fp32, 2 threads"));
  const Outcome two =
      run_invp(step + "--ranks 2 --bn-groups 2", "env -u OMP_NUM_THREADS taskset -c 0,1");
  EXPECT_EQ(two.code, 0) << two.err;
  EXPECT_THAT(two.err, ::testing::HasSubstr("cpu, fp32, 1 thread"));
}

TEST(Ranks, StopWithTheirParentAndItsSignal) {
  NEEDS_RANKS();
  for (const int signal : {SIGTERM, SIGINT}) {
    const Running run;
    ASSERT_TRUE(run.at_work()) << run.said();
    kill(run.pid(), signal);
    EXPECT_EQ(run.wait(), 128 + signal) << run.said();
    EXPECT_TRUE(run.all_gone(5));
  }
}

TEST(Ranks, EndWhenTheirParentIsKilled) {
  NEEDS_RANKS();
  const Running run;
  ASSERT_TRUE(run.at_work()) << run.said();
  kill(run.pid(), SIGKILL);
  EXPECT_EQ(run.wait(), 128 + SIGKILL);
  EXPECT_TRUE(run.all_gone(10));
}

// A signal to any one of them, as from a launcher or a person that knows of one process only.
TEST(Ranks, StopTogetherWhenOneIsToldTo) {
  NEEDS_RANKS();
  for (const auto& [rank, signal] : {std::pair{2, SIGTERM}, {1, SIGUSR1}}) {
    const Running run;
    ASSERT_TRUE(run.at_work()) << run.said();
    ASSERT_NE(run.rank(rank), 0);
    kill(run.rank(rank), signal);
    EXPECT_EQ(run.wait(), 128 + signal) << run.said();
    EXPECT_TRUE(run.all_gone(5));
  }
}

// Killed, or stopped for longer than --deadline: one line names the rank, and lines below it say
// what all were doing.
TEST(Ranks, EndWhenOneIsLost) {
  NEEDS_RANKS();
  for (const int signal : {SIGKILL, SIGSTOP}) {
    const Running run("--deadline 2");
    ASSERT_TRUE(run.at_work()) << run.said();
    const pid_t lost = run.rank(2);
    ASSERT_NE(lost, 0);
    kill(lost, signal);
    EXPECT_EQ(run.wait(), 1);
    EXPECT_TRUE(run.all_gone(5));
    const std::string said = run.said();
    EXPECT_THAT(said,
                ::testing::ContainsRegex("invp: rank 2 \\([^,]+, pid " + std::to_string(lost) +
                                         "\\) (ended|has not been heard of for 2.0 s) at "
                                         "step [0-9]+, in [a-z_]+ "));
    EXPECT_THAT(said, ::testing::ContainsRegex("\nranks? 0.*: (in|after) call [0-9]+, "));
    EXPECT_THAT(said, ::testing::HasSubstr("\nrank 2: heard of last at step "));
  }
}

TEST(Ranks, OfTwoRunsAtOnceDoNotMeet) {
  NEEDS_RANKS();
  const Running other;
  ASSERT_TRUE(other.at_work());
  const Outcome two = run_invp("bench comm --ranks 2 --elements 2000 --repeats 2 --json");
  EXPECT_EQ(two.code, 0) << two.err;
  EXPECT_EQ(nlohmann::json::parse(two.last_line())["ranks"], 2);
}

// A batch script or an interactive shell of Slurm, without srun.
TEST(Ranks, VariablesOfAJobAloneMeanOneRank) {
  const Outcome one = run_invp("bench comm --elements 100 --repeats 1 --json",
                               "env SLURM_JOB_ID=12 SLURM_NTASKS=4 SLURM_PROCID=0 SLURM_NNODES=2");
  ASSERT_EQ(one.code, 0) << one.err;
  EXPECT_EQ(nlohmann::json::parse(one.last_line())["ranks"], 1);
}

TEST(Ranks, AreRefusedWhereTheyCannotBe) {
  struct Case {
    const char* before;
    const char* arguments;
    const char* why;
  };
  const Case cases[] = {
      {"", "--ranks 0", "--ranks is a number from 1 to 4096 or auto, not 0"},
      {"", "--ranks two", "two"},
      {"env RANK=0 WORLD_SIZE=2 MASTER_ADDR=n1", "",
       "2 ranks started by RANK and WORLD_SIZE, which on CPUs do not find each other"},
      {"env SLURM_STEP_NUM_TASKS=4 SLURM_PROCID=0", "", "4 tasks started by srun"},
      {"env RANK=0 WORLD_SIZE=2 MASTER_ADDR=n1", "--ranks 2", "leave it out"},
      {"env PATH=/nowhere", "--ranks 2", "install"},
  };
  for (const Case& c : cases) {
    const Outcome outcome = run_invp(std::string("bench comm ") + c.arguments, c.before);
    EXPECT_EQ(outcome.code, 2) << c.before << ' ' << c.arguments << ": " << outcome.err;
    EXPECT_NE(outcome.err.find(c.why), std::string::npos) << outcome.err;
    EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1) << outcome.err;
  }
}

}  // namespace
}  // namespace invp::testing
