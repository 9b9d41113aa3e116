// Holds the commands and links of the pages true. A command of README.md that needs no data runs as
// it stands there. One that needs some runs without: it has to get as far as missing a file that
// the line names, which is after its options and their values were read.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cctype>
#include <map>
#include <nlohmann/json.hpp>
#include <regex>
#include <set>

#include "tests/docs/pages.h"

namespace invp {
namespace {

using testing::kRoot;
using testing::lines_of;
using testing::Outcome;
using testing::pages;
using testing::quotations;
using testing::read_all;
using testing::run_invp_in;
using testing::TempFolder;
using testing::words_of;

/// The commands of a page's shell blocks, without comments, one by one.
std::vector<std::string> commands_of(const std::filesystem::path& page) {
  std::vector<std::string> commands;
  for (std::string line : lines_of(read_all(kRoot / page), "sh")) {
    line = line.substr(0, line.find(" #"));
    for (std::size_t next = 0; next != std::string::npos;) {
      const std::size_t end = line.find(" && ", next);
      const std::string command = line.substr(next, end - next);
      if (!words_of(command).empty()) commands.push_back(command);
      next = end == std::string::npos ? end : end + 4;
    }
  }
  return commands;
}

/// A folder with what README.md's commands may find: photos/, ten classes of small pictures.
const TempFolder& folder_with_photos() {
  static const TempFolder folder;
  static const Outcome made =
      run_invp_in(folder.path(), "data synthesize photos --train 30 --val 10 --size 32");
  EXPECT_EQ(made.code, 0) << made.err;
  return folder;
}

void expect_runs(const std::string& arguments) {
  const Outcome outcome = run_invp_in(folder_with_photos().path(), arguments);
  EXPECT_EQ(outcome.code, 0) << "invp " << arguments << "\n" << outcome.err;
}

/// That the program understood the line: it complains of nothing but a file the line names.
void expect_lacks_only_a_file(const std::string& arguments) {
  const Outcome outcome = run_invp_in(folder_with_photos().path(), arguments);
  EXPECT_EQ(outcome.code, 1) << "invp " << arguments << "\n" << outcome.err;
  bool named = false;
  for (const std::string& word : words_of(arguments)) {
    const bool path = word.find('/') != std::string::npos || word.find('.') != std::string::npos;
    named |= path && outcome.err.find(" " + word + ":") != std::string::npos;
  }
  EXPECT_TRUE(named) << "invp " << arguments << "\n" << outcome.err;
}

TEST(Readme, CommandsOfTheProgramAreUnderstood) {
  // As they stand, or with the smallest settings: a step of the default network takes minutes.
  const std::map<std::string, std::string> runs = {
      {"doctor", ""},
      {"plan --images 1e9 --gpus 1024 --batch-size 8192", ""},
      {"data info --data photos/", ""},
      {"data check --data photos/", ""},
      {"data show --data photos/ --to views.png", ""},
      {"bench step",
       " --arch resnet18-cifar --width 8 --image-size 16 --batch-size 4 --bank 500"
       " --background 100 --repeats 1 --device cpu"}};
  int checked = 0;
  std::set<std::string> ran;
  for (const std::string& command : commands_of("README.md")) {
    if (!command.starts_with("build/bin/invp ")) continue;
    std::string arguments = command.substr(std::string("build/bin/invp ").size());
    arguments.erase(arguments.find_last_not_of(' ') + 1);
    ++checked;
    if (const auto found = runs.find(arguments); found != runs.end()) {
      ran.insert(arguments);
      expect_runs(arguments + found->second);
    } else {
      expect_lacks_only_a_file(arguments);
    }
  }
  EXPECT_GE(checked, 10);
  EXPECT_EQ(ran.size(), runs.size()) << "a command in this test's table left README.md";
}

bool is_preset(const std::string& kind, const std::string& name) {
  const auto presets = nlohmann::json::parse(read_all(kRoot / "CMakePresets.json"));
  const auto& all = presets.at(kind + "Presets");
  return std::any_of(all.begin(), all.end(),
                     [&](const nlohmann::json& preset) { return preset.at("name") == name; });
}

void expect_cmake_preset(const std::vector<std::string>& words) {
  for (std::size_t i = 1; i + 1 < words.size(); ++i) {
    if (words[i] != "--preset") continue;
    EXPECT_TRUE(is_preset(words[1] == "--build" ? "build" : "configure", words[i + 1]))
        << words[i + 1];
    return;
  }
  ADD_FAILURE() << "cmake without a preset";
}

/// That a command which is not the program's begins with a file of the project that can be run.
void expect_script(const std::vector<std::string>& words) {
  const bool python = words[0].ends_with("/python");
  ASSERT_GT(words.size(), python ? 1U : 0U);
  const std::filesystem::path script = kRoot / words[python ? 1 : 0];
  EXPECT_TRUE(std::filesystem::is_regular_file(script)) << script;
  EXPECT_TRUE(python || access(script.c_str(), X_OK) == 0) << script << " cannot be run";
}

TEST(Docs, ScriptsAndPresetsInShellBlocksExist) {
  int checked = 0;
  for (const auto& page : pages()) {
    SCOPED_TRACE(page);
    for (const std::string& command : commands_of(page)) {
      SCOPED_TRACE(command);
      const std::vector<std::string> words = words_of(command);
      if (words[0] == "build/bin/invp") {
        EXPECT_EQ(page, "README.md") << "commands of the program are run from README.md only";
      } else if (words[0] == "cmake") {
        expect_cmake_preset(words);
      } else if (words[0] == "ctest") {
        EXPECT_EQ(words[1] + " " + words[2], "--test-dir build") << command;
      } else {
        expect_script(words);
      }
      ++checked;
    }
  }
  EXPECT_GE(checked, 20);
}

/// The help of `command`, "" if there is no such command.
std::string help_of(const std::string& command) {
  static std::map<std::string, std::string> known;
  if (const auto found = known.find(command); found != known.end()) return found->second;
  const Outcome outcome = run_invp_in(kRoot, command + " --help");
  return known[command] = outcome.code == 0 ? outcome.out : "";
}

/// Of `invp a b --c d`: `a b` if that is a command, else `a`.
std::string command_in(const std::vector<std::string>& words) {
  if (words.size() > 2 && std::isalpha(static_cast<unsigned char>(words[2][0])) != 0 &&
      !help_of(words[1] + " " + words[2]).empty())
    return words[1] + " " + words[2];
  return words[1];
}

/// What `help` says of an option below its line of "  --NAME", "" if it has none.
std::string help_of_option(const std::string& help, const std::string& option) {
  std::smatch found;
  if (!std::regex_search(help, found, std::regex("\n  " + option + "(?![a-z-])"))) return "";
  const auto start = static_cast<std::size_t>(found.position()) + 1;
  return help.substr(start, help.find("\n  --", start) - start);
}

TEST(Docs, QuotedCommandsOfTheProgramExistWithTheirOptions) {
  int checked = 0;
  for (const auto& page : pages()) {
    SCOPED_TRACE(page);
    for (const std::string& text : quotations(read_all(kRoot / page))) {
      const std::vector<std::string> words = words_of(text);
      if (words.size() < 2 || (words[0] != "invp" && !words[0].ends_with("/bin/invp"))) continue;
      SCOPED_TRACE(text);
      if (words[1].starts_with("--")) {  // an option of the program itself
        EXPECT_NE(run_invp_in(kRoot, "--help").out.find(text), std::string::npos);
        continue;
      }
      const std::string help = help_of(command_in(words));
      EXPECT_FALSE(help.empty());
      for (const std::string& word : words) {
        const std::string option = word.substr(0, word.find('='));
        EXPECT_TRUE(!option.starts_with("--") || !help_of_option(help, option).empty()) << option;
      }
      ++checked;
    }
  }
  EXPECT_GE(checked, 20);
}

/// An option that README.md names by itself, with a value or without, is one of the long commands.
TEST(Readme, QuotedOptionsExist) {
  int checked = 0;
  for (const std::string& text : quotations(read_all(kRoot / "README.md"))) {
    const std::vector<std::string> words = words_of(text);
    if (!text.starts_with("--") || text == "--help") continue;
    bool offered = false;
    for (const char* command : {"pretrain", "linear", "finetune"}) {
      const std::string help = help_of_option(help_of(command), words[0]);
      offered |= !help.empty() && help.find(words.back()) != std::string::npos;
    }
    EXPECT_TRUE(offered) << text;
    ++checked;
  }
  EXPECT_GE(checked, 5);
}

/// A heading's anchor as GitHub makes it: letters, digits, dashes.
std::string anchor_of(const std::string& heading) {
  std::string anchor;
  for (const char c : heading.substr(heading.find(' ') + 1)) {
    if (c == ' ') anchor += '-';
    if (c == '-' || c == '_' || std::isalnum(static_cast<unsigned char>(c)) != 0)
      anchor += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return "#" + anchor;
}

bool has_anchor(const std::filesystem::path& page, const std::string& anchor) {
  const std::vector<std::string> lines = lines_of(read_all(page), "");
  return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
    return line.starts_with("#") && anchor_of(line) == anchor;
  });
}

TEST(Docs, LinksLeadSomewhere) {
  const std::regex link(R"(\]\(([^)#:]*)(#[^)]*)?\))");
  int checked = 0;
  for (const auto& page : pages()) {
    const std::string text = read_all(kRoot / page);
    for (auto found = std::sregex_iterator(text.begin(), text.end(), link);
         found != std::sregex_iterator(); ++found, ++checked) {
      const std::string file = (*found)[1];
      const std::string anchor = (*found)[2];
      const auto target = kRoot / (file.empty() ? page : page.parent_path() / file);
      EXPECT_TRUE(std::filesystem::exists(target)) << page << " links to " << file;
      EXPECT_TRUE(anchor.empty() || has_anchor(target, anchor)) << page << ": " << file << anchor;
    }
  }
  EXPECT_GE(checked, 60);
}

/// README.md's map has a row for each top folder, which names every room below it.
TEST(Readme, MapNamesEveryRoom) {
  std::map<std::string, std::set<std::string>> map;
  for (const std::string& line : lines_of(read_all(kRoot / "README.md"), "")) {
    const std::vector<std::string> names = testing::backquoted(line);
    if (line.starts_with("| `") && names.front().ends_with("/"))
      map[names.front()].insert(names.begin() + 1, names.end());
  }
  int checked = 0;
  for (const char* top : {"engine", "layers", "optim", "data", "invp", "tools"}) {
    EXPECT_TRUE(map.contains(std::string(top) + "/")) << top;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(kRoot / top)) {
      if (entry.path().filename() != "CMakeLists.txt" ||
          read_all(entry.path()).find("invp_room(") == std::string::npos)
        continue;
      const std::string room = relative(entry.path().parent_path(), kRoot / top);
      EXPECT_TRUE(room == "." || map[std::string(top) + "/"].contains(room)) << top << "/" << room;
      ++checked;
    }
  }
  EXPECT_GE(checked, 25);
}

/// A quoted path below a folder of the project: `engine/core/tensor.h`, `engine/ops/`.
TEST(Docs, QuotedPathsExist) {
  const std::regex path(
      "(engine|layers|optim|data|invp|tools|tests|benchmarks|docs|scripts|cmake|configs|\\.ci)/"
      "[A-Za-z0-9_./-]*");
  int checked = 0;
  for (const auto& page : pages()) {
    for (const std::string& text : quotations(read_all(kRoot / page))) {
      const std::vector<std::string> words = words_of(text);
      if (words.empty() || !std::regex_match(words[0], path)) continue;
      if (words[0].find("gelu") != std::string::npos) continue;  // the example of a new operation
      EXPECT_TRUE(std::filesystem::exists(kRoot / words[0])) << page << " names " << words[0];
      ++checked;
    }
  }
  EXPECT_GE(checked, 60);
}

}  // namespace
}  // namespace invp
