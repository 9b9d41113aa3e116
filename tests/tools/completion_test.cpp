// invp completion, invp man, invp --version: what shells and man(1) are told of the commands.
#include <gmock/gmock.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <set>

#include "tests/tools/program.h"

namespace invp {
namespace {

using namespace invp::testing;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::IsSupersetOf;
using ::testing::MatchesRegex;
using ::testing::Not;

std::string output_of(const std::string& command) {
  const Scratch scratch;
  EXPECT_EQ(std::system((command + " >" + (scratch / "out")).c_str()), 0) << command;
  return read_all(scratch / "out");
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream in(text);
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// What bash offers behind these words, the last of which is being typed.
std::vector<std::string> offered(const std::vector<std::string>& words) {
  const Scratch scratch;
  std::string script = run_invp("completion bash").out + "cd " + shell_word(scratch / "") +
                       "\ntouch 'a picture.jpg'\nmkdir folder\nCOMP_WORDS=(invp";
  for (const std::string& word : words) script += ' ' + shell_word(word);
  script += ")\nCOMP_CWORD=" + std::to_string(words.size()) +
            "\n_invp\n((${#COMPREPLY[@]} == 0)) || printf '%s\\n' \"${COMPREPLY[@]}\"\n";
  std::ofstream(scratch / "script.sh") << script;
  return lines_of(output_of("bash " + shell_word(scratch / "script.sh")));
}

TEST(Completion, OffersCommandsAndTheirActions) {
  EXPECT_THAT(offered({"pre"}), ElementsAre("pretrain"));
  EXPECT_THAT(offered({""}), IsSupersetOf({"pretrain", "data", "bench", "doctor", "help"}));
  EXPECT_THAT(offered({"data", "s"}), ElementsAre("show", "synthesize"));
  EXPECT_THAT(offered({"help", "dete"}), ElementsAre("detect"));
}

TEST(Completion, OffersTheOptionsOfTheCommandAlone) {
  EXPECT_THAT(offered({"pretrain", "--bn"}), ElementsAre("--bn-groups"));
  EXPECT_THAT(offered({"data", "check", "--"}), Contains("--data"));
  EXPECT_THAT(offered({"data", "check", "--"}), Not(Contains("--lr")));
  EXPECT_THAT(offered({"bench", "knn", "--"}), Contains("--bank"));
}

TEST(Completion, OffersTheValuesOfAnOption) {
  EXPECT_THAT(offered({"pretrain", "--arch", "resnet18"}),
              ElementsAre("resnet18", "resnet18-cifar"));
  EXPECT_THAT(offered({"pretrain", "--arch", "=", "resnet18"}),
              ElementsAre("resnet18", "resnet18-cifar"));
  EXPECT_THAT(offered({"pretrain", "--arch", "="}), Contains("resnet50"));
  EXPECT_THAT(offered({"pretrain", "--preset", "quick"}), ElementsAre("quickstart"));
  EXPECT_THAT(offered({"pretrain", "--lr", ""}), IsEmpty());
  EXPECT_THAT(offered({"completion", ""}), IsSupersetOf({"bash", "zsh", "fish"}));
}

TEST(Completion, OffersFilesWithTheirSpaces) {
  EXPECT_THAT(offered({"pretrain", "--data", "a"}), ElementsAre("a picture.jpg"));
  EXPECT_THAT(offered({"pretrain", "--resume", "a"}), ElementsAre("auto", "a picture.jpg"));
  EXPECT_THAT(offered({"data", "apply", "f"}), ElementsAre("folder"));
}

TEST(Completion, ShellsAcceptTheirScripts) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    if (std::system((std::string("command -v ") + shell + " >/dev/null").c_str()) != 0) continue;
    const Scratch scratch;
    std::ofstream(scratch / "script") << run_invp(std::string("completion ") + shell).out;
    EXPECT_EQ(std::system((std::string(shell) + " -n " + (scratch / "script")).c_str()), 0)
        << shell;
  }
}

TEST(Completion, NamesTheShellsItKnows) {
  const Outcome outcome = run_invp("completion tcsh");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("there are bash, zsh and fish"));
}

TEST(Manual, HasAPagePerCommandWithItsOptions) {
  const Scratch scratch;
  const Outcome outcome = run_invp("man --to " + (scratch / "man1"));
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  const std::string overview = read_all(scratch / "man1/invp.1");
  EXPECT_THAT(overview, HasSubstr("\\fBinvp\\-data\\-info\\fR(1)"));
  const std::string page = read_all(scratch / "man1/invp-pretrain.1");
  EXPECT_THAT(page, HasSubstr("\\fB\\-\\-bn\\-groups\\fR \\fIN\\fR\n"));
  EXPECT_THAT(page, HasSubstr("(default: 0.03)"));
  EXPECT_THAT(page, HasSubstr(".SH EXIT STATUS"));
  // One of the program, and one of each command that its own lists.
  std::ptrdiff_t listed = 0;
  for (const std::string& line : lines_of(overview)) listed += line.ends_with("(1)") ? 1 : 0;
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(scratch / "man1"), {}), listed + 1);
}

TEST(Version, NamesCommitAndBuild) {
  EXPECT_THAT(
      run_invp("--version").out,
      MatchesRegex("invp [0-9.]+ \\(commit ([0-9a-f]{12}( with changes)?|unknown), .+, .+\\)\n"));
}

/// The libraries in the table of docs/dependencies.md.
std::vector<std::string> documented_libraries() {
  std::vector<std::string> names;
  for (const std::string& line :
       lines_of(read_all(std::filesystem::path(INVP_SOURCE_DIR) / "docs/dependencies.md"))) {
    const std::string name = line.substr(0, line.find_first_of("|,", 2));
    if (line.starts_with("| ") && !name.starts_with("| library") && !name.starts_with("| (none)") &&
        !name.starts_with("| ---"))
      names.push_back(name.substr(2, name.find_last_not_of(' ') - 1));
  }
  return names;
}

TEST(Licenses, AreListedForEveryLibraryInTheProgram) {
  // Tools, and what other builds have.
  const std::set<std::string> elsewhere = {
      "GoogleTest", "Google Benchmark", "ccache", "CUDA runtime",   "cuBLASLt",
      "cuDNN",      "nvJPEG",           "NCCL",   "cudnn-frontend", "MPI"};
  const std::string listed = run_invp("doctor --licences").out;
  const std::vector<std::string> documented = documented_libraries();
  EXPECT_THAT(documented, IsSupersetOf({"oneDNN", "Eigen", "zlib", "CLI11"}));
  for (const std::string& library : documented) {
    if (elsewhere.contains(library)) continue;
    EXPECT_NE(listed.find("\n  " + library), std::string::npos) << library;
  }
}

}  // namespace
}  // namespace invp
