// The project's pages as these tests read them, and the program as they ask it.
#pragma once

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/temp_folder.h"
#include "tests/tools/program.h"

namespace invp::testing {

inline const std::filesystem::path kRoot = INVP_SOURCE_DIR;

/// README.md, CONTRIBUTING.md, the READMEs of benchmarks/ and scripts/, and all of docs/, relative
/// to kRoot.
inline std::vector<std::filesystem::path> pages() {
  std::vector<std::filesystem::path> found = {"README.md", "CONTRIBUTING.md",
                                              "benchmarks/README.md", "scripts/README.md"};
  for (const auto& entry : std::filesystem::recursive_directory_iterator(kRoot / "docs")) {
    if (entry.path().extension() == ".md") found.push_back(relative(entry.path(), kRoot));
  }
  std::sort(found.begin(), found.end());
  return found;
}

/// The lines of a page, either those of its fenced blocks of a language or those outside of all.
inline std::vector<std::string> lines_of(const std::string& page, const std::string& language) {
  std::vector<std::string> lines;
  std::istringstream in(page);
  std::string fence;
  for (std::string line; std::getline(in, line);) {
    if (line.starts_with("```")) {
      fence = fence.empty() ? line : "";
    } else if (fence == (language.empty() ? "" : "```" + language)) {
      lines.push_back(line);
    }
  }
  return lines;
}

/// What stands between backquotes in a line, in order.
inline std::vector<std::string> backquoted(const std::string& line) {
  std::vector<std::string> found;
  for (std::size_t open = line.find('`'); open != std::string::npos; open = line.find('`', open)) {
    const std::size_t close = line.find('`', open + 1);
    if (close == std::string::npos) break;
    found.push_back(line.substr(open + 1, close - open - 1));
    open = close + 1;
  }
  return found;
}

/// All that stands between backquotes on a page, outside of fenced blocks.
inline std::vector<std::string> quotations(const std::string& page) {
  std::vector<std::string> found;
  for (const std::string& line : lines_of(page, "")) {
    for (const std::string& text : backquoted(line)) found.push_back(text);
  }
  return found;
}

inline std::vector<std::string> words_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// `invp ARGUMENTS` with `folder` as the working folder, for a minute at most (then code 124).
inline Outcome run_invp_in(const std::filesystem::path& folder, const std::string& arguments) {
  const Scratch scratch;
  const std::string command = "cd '" + folder.string() + "' && timeout 60 " + program() + " " +
                              arguments + " >" + (scratch / "out") + " 2>" + (scratch / "err");
  const int status = std::system(command.c_str());
  return {exit_code(status), read_all(scratch / "out"), read_all(scratch / "err")};
}

}  // namespace invp::testing
