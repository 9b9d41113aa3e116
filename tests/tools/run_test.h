// A training command from outside: started anew, interrupted and resumed.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <filesystem>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "tests/tools/program.h"

namespace invp::testing {

/// Each run has a folder of its own, by its name.
class RunTest : public ::testing::Test {
 protected:
  /// `command` is all of it but --out.
  explicit RunTest(std::string command) : command_(std::move(command)) {}

  std::string out(const std::string& name) const { return scratch_ / name; }
  std::string last(const std::string& name) const {
    return out(name) + "/checkpoints/last.safetensors";
  }
  std::string arguments(const std::string& name, const std::string& more) const {
    return command_ + " --out " + out(name) + " " + more;
  }
  Outcome train(const std::string& name, const std::string& more = "") const {
    return run_invp(arguments(name, more));
  }

  /// Starts the run, waits until it has written a checkpoint (if it is to) and `more_time`, sends
  /// the signal, and says how the program ended: its exit code, or 128 + the signal that ended it.
  int interrupted(const std::string& name, const std::string& more, int signal,
                  bool after_checkpoint = true, std::chrono::milliseconds more_time = {}) const {
    const std::string line = "exec " + program() + " " + arguments(name, more);
    const auto before = written(name);
    const pid_t child = fork();
    if (child == 0) {
      const int nowhere = open("/dev/null", O_WRONLY);
      dup2(nowhere, STDOUT_FILENO);
      dup2(nowhere, STDERR_FILENO);
      execl("/bin/sh", "sh", "-c", line.c_str(), nullptr);
      _exit(127);
    }
    int status = 0;
    while (after_checkpoint && written(name) == before) {
      if (waitpid(child, &status, WNOHANG) == child) return exit_code(status);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    std::this_thread::sleep_for(more_time);
    kill(child, signal);
    waitpid(child, &status, 0);
    return exit_code(status);
  }

  /// Killed, terminated and interrupted among its checkpoints, the run ends as `whole` did.
  void expect_interruptions_change_no_byte(const std::string& whole) const {
    const std::string expected = read_all(last(whole));
    for (const int signal : {SIGKILL, SIGTERM, SIGINT}) {
      const std::string name = "signal" + std::to_string(signal);
      EXPECT_EQ(interrupted(name, "", signal), 128 + signal);
      const Outcome end = train(name, "--resume auto");
      ASSERT_EQ(end.code, 0) << end.err;
      EXPECT_TRUE(read_all(last(name)) == expected) << "the resumed run ended in other bytes";
    }
  }

  void expect_config_is_read_back() const {
    ASSERT_EQ(train("first", "--epochs 1").code, 0);
    const std::string subcommand = command_.substr(0, command_.find(' '));
    const Outcome again =
        run_invp(subcommand + " --config " + out("first") + "/config.toml --out " + out("second"));
    ASSERT_EQ(again.code, 0) << again.err;
    EXPECT_TRUE(read_all(last("second")) == read_all(last("first")));
  }

 private:
  /// When the run's last checkpoint was written.
  std::filesystem::file_time_type written(const std::string& name) const {
    std::error_code none_yet;
    return std::filesystem::last_write_time(last(name), none_yet);
  }

  std::string command_;
  Scratch scratch_;
};

}  // namespace invp::testing
