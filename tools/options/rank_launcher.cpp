#include "tools/options/rank_launcher.h"

#include <fcntl.h>
#include <signal.h>  // NOLINT(modernize-deprecated-headers): kill is POSIX, not C
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "engine/comm/control.h"
#include "engine/comm/launch.h"
#include "engine/comm/mpi_launcher.h"
#include "engine/comm/wire.h"
#include "engine/core/cpu_share.h"
#include "engine/core/stop.h"
#include "invp/report/text/progress.h"
#include "tools/options/options.h"

namespace invp::cli {

namespace {

constexpr const char* kMark = "INVP_RANKS";

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  std::vector<std::string> words;
  for (std::size_t at = 0; at < text.size(); at = text.find('\0', at) + 1)
    words.emplace_back(text.c_str() + at);
  if (!words.empty()) words.erase(words.begin());
  return words;
}

/// This program and its arguments.
std::vector<std::string> own_command() {
  std::vector<std::string> command = {std::filesystem::read_symlink("/proc/self/exe").string()};
  for (std::string& word : own_arguments()) command.push_back(std::move(word));
  return command;
}

std::vector<std::string> command_of(int ranks) {
  std::vector<std::string> command;
  try {
    command = mpi_command(ranks, variable_of_process("PATH"));
  } catch (const Error& error) {
    throw UsageError(message("--ranks ", ranks, ": ", error.what()));
  }
  for (std::string& word : own_command()) command.push_back(std::move(word));
  return command;
}

std::vector<char*> pointers(std::vector<std::string>& words) {
  std::vector<char*> all;
  for (std::string& word : words) all.push_back(word.data());
  all.push_back(nullptr);
  return all;
}

std::vector<std::string> variables_for(int ranks, std::vector<std::string> variables) {
  variables.push_back(message(kMark, '=', ranks));
  // The cores are shared out, unless somebody has said how many threads a process has.
  if (variable_of_process("OMP_NUM_THREADS").empty())
    variables.push_back(message("OMP_NUM_THREADS=", std::max(1, usable_cores() / ranks)));
  // MPI's launcher stands between the ranks and the terminal.
  if (const int columns = terminal_columns(stderr); columns > 0)
    variables.push_back(message(kTerminalBehind, '=', columns));
  for (char** variable = environ; *variable != nullptr; ++variable)
    variables.emplace_back(*variable);
  return variables;
}

/// In the child: never returns. In a group of its own, so that a Ctrl-C comes through this process
/// alone; told to end when this process dies.
[[noreturn]] void become(std::vector<char*>& words, std::vector<char*>& variables, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(1);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1, SIGPIPE, SIGXFSZ})
    ::signal(signal, SIG_DFL);
  const int nothing = open("/dev/null", O_RDONLY | O_CLOEXEC);
  dup2(nothing, STDIN_FILENO);
  execve(words[0], words.data(), variables.data());
  _exit(127);
}

int code_of(int status, int stopped_by) {
  if (!WIFEXITED(status)) return 1;
  const int code = WEXITSTATUS(status);
  if (code == 128 + SIGUSR1 && stopped_by != 0) return 128 + stopped_by;
  constexpr std::array kStops = {SIGINT, SIGTERM, SIGHUP, SIGXCPU, SIGUSR1};
  const bool stopped =
      std::any_of(kStops.begin(), kStops.end(), [&](int signal) { return code == 128 + signal; });
  return code == 0 || code == 2 || stopped ? code : 1;
}

/// `inherited`: a file that stays open in the child; -1: none.
pid_t start(std::vector<std::string> command, std::vector<std::string> environment,
            int inherited = -1) {
  std::vector<char*> words = pointers(command);
  std::vector<char*> variables = pointers(environment);
  const pid_t self = getpid();
  const pid_t child = fork();
  CHECK(child >= 0, "no process can be started: ", std::strerror(errno));
  if (child != 0) return child;
  if (inherited >= 0) fcntl(inherited, F_SETFD, 0);
  become(words, variables, self);
}

/// The code of the run: that of the first child that did not end well. A stop is passed on.
int wait_for(const std::vector<pid_t>& children) {
  using Clock = std::chrono::steady_clock;
  constexpr std::chrono::seconds kOthersEnd{10};  // by themselves, once one has failed
  // The ranks write their checkpoint: this process is there until they have.
  set_unsaved_work(true);
  std::vector<pid_t> left = children;
  int code = 0, passed_on = 0;
  std::optional<Clock::time_point> failed;
  while (!left.empty()) {
    std::erase_if(left, [&](pid_t child) {
      int status = 0;
      if (waitpid(child, &status, WNOHANG) == 0) return false;
      if (code == 0) code = code_of(status, passed_on);
      if (code != 0 && !failed) failed = Clock::now();
      return true;
    });
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    if (failed && Clock::now() - *failed > kOthersEnd)
      for (const pid_t child : left) kill(child, SIGKILL);
    if (passed_on != 0 || stop_signal() == 0) continue;
    passed_on = stop_signal();
    for (const pid_t child : left) kill(child, SIGUSR1);
  }
  set_unsaved_work(false);
  return code;
}

}  // namespace

bool started_by_us() {
  return !variable_of_process(kMark).empty();
}

int run_as_ranks(int ranks) {
  return wait_for({start(command_of(ranks), variables_for(ranks, mpi_variables()))});
}

int run_as_gpu_ranks(int ranks) {
  const Socket hub = listen_at({0});
  const std::string token = random_token();
  std::vector<pid_t> children;
  for (int rank = 0; rank < ranks; ++rank)
    children.push_back(
        start(own_command(),
              variables_for(ranks, variables_of_rank(rank, ranks, port_of(hub), token, hub.file())),
              rank == 0 ? hub.file() : -1));
  return wait_for(children);
}

}  // namespace invp::cli
