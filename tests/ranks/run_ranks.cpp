#include "tests/ranks/run_ranks.h"

#include <fcntl.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <thread>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/mpi_launcher.h"

namespace invp::testing {

namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

constexpr const char* kFolder = "INVP_TEST_RANKS";

fs::path file_of(const fs::path& folder, int rank, const char* kind) {
  return folder / (std::to_string(rank) + kind);
}

std::string text_of(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// In a rank, before anything is said: its output goes to a file, and its pid to another.
bool become_rank() {
  const char* const folder = std::getenv(kFolder);
  if (folder == nullptr) return false;
  const char* rank = std::getenv("OMPI_COMM_WORLD_RANK");
  if (rank == nullptr) rank = std::getenv("PMI_RANK");
  const int number = rank == nullptr ? 0 : std::atoi(rank);
  const int out =
      open(file_of(folder, number, ".txt").c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
  dup2(out, STDOUT_FILENO);
  dup2(out, STDERR_FILENO);
  close(out);
  const fs::path pid = file_of(folder, number, ".pid");
  std::ofstream(pid.string() + ".new") << getpid();
  fs::rename(pid.string() + ".new", pid);
  return true;
}

const bool kIsRank = become_rank();

bool within(Seconds time, const std::function<bool()>& done) {
  const auto end = Clock::now() + time;
  while (!done()) {
    if (Clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

/// No zombie, and not gone.
bool lives(pid_t pid) {
  const std::string status = text_of("/proc/" + std::to_string(pid) + "/stat");
  const std::size_t state = status.rfind(") ");
  return state != std::string::npos && status[state + 2] != 'Z';
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

pid_t start(std::vector<std::string> command, std::vector<std::string> variables,
            const fs::path& output) {
  for (char** variable = environ; *variable != nullptr; ++variable) {
    // Sanitizers' options and the rest stay; a variable that is given comes first, and counts.
    variables.emplace_back(*variable);
  }
  posix_spawn_file_actions_t files;
  posix_spawn_file_actions_init(&files);
  posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, output.c_str(), O_WRONLY | O_CREAT, 0600);
  posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO);
  std::vector<char*> words = pointers(command);
  std::vector<char*> environment = pointers(variables);
  pid_t pid = 0;
  const int failed = posix_spawn(&pid, words[0], &files, nullptr, words.data(), environment.data());
  posix_spawn_file_actions_destroy(&files);
  EXPECT_EQ(failed, 0) << "cannot start " << command[0];
  return failed == 0 ? pid : 0;
}

}  // namespace

bool is_rank() {
  return kIsRank;
}

RunningRanks::RunningRanks(int ranks, const std::string& test,
                           const std::vector<std::string>& variables)
    : ranks_(ranks) {
  std::vector<std::string> command = mpi_command(ranks, std::getenv("PATH"));
  command.push_back(fs::read_symlink("/proc/self/exe").string());
  command.push_back("--gtest_filter=" + test);
  std::vector<std::string> environment = variables;
  environment.push_back(std::string(kFolder) + "=" + folder_.path().string());
  environment.emplace_back("OMP_NUM_THREADS=1");
  for (const std::string& variable : mpi_variables()) environment.push_back(variable);
  launcher_ = start(command, environment, folder_ / "launcher.txt");
}

RunningRanks::~RunningRanks() {
  kill_all();
}

pid_t RunningRanks::pid(int rank) const {
  const fs::path file = file_of(folder_.path(), rank, ".pid");
  if (!within(Seconds(10), [&] { return fs::exists(file); })) return 0;
  return std::atoi(text_of(file).c_str());
}

std::string RunningRanks::output(int rank) const {
  return text_of(file_of(folder_.path(), rank, ".txt"));
}

bool RunningRanks::said(int rank, const std::string& text) const {
  return within(Seconds(10), [&] { return output(rank).find(text) != std::string::npos; });
}

RanksOutcome RunningRanks::wait(Seconds deadline) {
  RanksOutcome outcome;
  const auto begin = Clock::now();
  int status = 0;
  outcome.timed_out = launcher_ == 0 || !within(deadline, [&] {
                        return waitpid(launcher_, &status, WNOHANG) == launcher_;
                      });
  outcome.seconds = Seconds(Clock::now() - begin).count();
  ended_ = !outcome.timed_out;
  if (ended_) outcome.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  if (!ended_) kill_all();
  for (int rank = 0; rank < ranks_; ++rank) outcome.output.push_back(output(rank));
  outcome.launcher = text_of(folder_ / "launcher.txt");
  return outcome;
}

bool RunningRanks::any_left(Seconds time) const {
  return !within(time, [&] {
    for (int rank = 0; rank < ranks_; ++rank) {
      const pid_t pid = std::atoi(text_of(file_of(folder_.path(), rank, ".pid")).c_str());
      if (pid > 0 && lives(pid)) return false;
    }
    return true;
  });
}

void RunningRanks::kill_all() const {
  if (launcher_ > 0 && !ended_) {
    kill(launcher_, SIGKILL);
    waitpid(launcher_, nullptr, 0);
  }
  for (int rank = 0; rank < ranks_; ++rank) {
    const pid_t pid = std::atoi(text_of(file_of(folder_.path(), rank, ".pid")).c_str());
    if (pid > 0 && lives(pid)) kill(pid, SIGKILL);
  }
}

RanksOutcome run_ranks(int ranks, const std::string& test, Seconds deadline,
                       const std::vector<std::string>& variables) {
  return RunningRanks(ranks, test, variables).wait(deadline);
}

std::string this_test() {
  const ::testing::TestInfo* const info = ::testing::UnitTest::GetInstance()->current_test_info();
  return std::string(info->test_suite_name()) + "." + info->name();
}

std::string why_no_ranks() {
  try {
    mpi_command(1, std::getenv("PATH"));
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

void expect_ranks(int ranks, Seconds deadline) {
  const RanksOutcome outcome = run_ranks(ranks, this_test(), deadline);
  if (outcome.code == 0 && !outcome.timed_out) return;
  std::string text = outcome.launcher;
  for (int rank = 0; rank < ranks; ++rank)
    text +=
        "\nrank " + std::to_string(rank) + ":\n" + outcome.output[static_cast<std::size_t>(rank)];
  ADD_FAILURE() << ranks << " ranks: "
                << (outcome.timed_out ? "not done in time"
                                      : "exit code " + std::to_string(outcome.code))
                << '\n'
                << text;
}

}  // namespace invp::testing
