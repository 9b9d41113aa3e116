// Runs the built program as a person would and keeps what it said.
#pragma once

#include <sys/wait.h>

#include <cstdlib>
#include <sstream>
#include <string>
#include <string_view>

#include "tests/support/temp_folder.h"

namespace invp::testing {

struct Outcome {
  int code = -1;
  std::string out;
  std::string err;

  std::string last_line() const {
    std::string line;
    std::istringstream lines(out);
    for (std::string next; std::getline(lines, next);) line = next;
    return line;
  }
};

/// Paths as text, to be put into command lines.
class Scratch : public TempFolder {
 public:
  std::string operator/(std::string_view name) const {
    return TempFolder::operator/(name).string();
  }
};

/// The exit code, or 128 + the signal that ended the program.
inline int exit_code(int status) {
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/// A word of a shell's command line: the project may lie in a folder of any name.
inline std::string shell_word(std::string_view text) {
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}
inline std::string program() {
  return shell_word(INVP_BINARY);
}
/// A committed file of tests/golden/data, for a command line.
inline std::string golden_word(std::string_view name) {
  return shell_word(golden(name).string());
}

/// `invp ARGUMENTS`, split by the shell. `before` is what stands before it: "env NAME=VALUE".
inline Outcome run_invp(const std::string& arguments, const std::string& before = "") {
  const Scratch scratch;
  const std::string command = before + " " + program() + " " + arguments + " >" +
                              (scratch / "out") + " 2>" + (scratch / "err");
  const int status = std::system(command.c_str());
  return {exit_code(status), read_all(scratch / "out"), read_all(scratch / "err")};
}

}  // namespace invp::testing
