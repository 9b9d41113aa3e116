// Exit codes, one-line complaints with the nearest right spelling, help, JSON, and where settings
// come from.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/tools/program.h"

namespace invp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using testing::Outcome;
using testing::read_all;
using testing::run_invp;
using testing::Scratch;
using ::testing::StartsWith;

/// Wrongly asked: exit code 2, nothing on stdout, one line on stderr.
void expect_refused(const std::string& arguments, const std::string& line) {
  const Outcome outcome = run_invp(arguments);
  EXPECT_EQ(outcome.code, 2) << arguments;
  EXPECT_EQ(outcome.out, "") << arguments;
  EXPECT_EQ(outcome.err, line + "\n") << arguments;
}

TEST(CommandLine, NamesTheNearestCommandOptionAndValue) {
  expect_refused("pretrian", "invp: no command 'pretrian'; did you mean pretrain?");
  expect_refused(
      "data infos",
      "invp data: no action 'infos'; did you mean info? (info, check, show, apply, synthesize or "
      "pack)");
  expect_refused("pretrain --epoch 3", "invp pretrain: no option --epoch; did you mean --epochs?");
  expect_refused("pretrain --wieght-decay=1",
                 "invp pretrain: no option --wieght-decay; did you mean --weight-decay?");
  expect_refused("pretrain --data x --schedule cosin",
                 "invp pretrain: --schedule has no choice 'cosin'; did you mean cosine? (cosine, "
                 "cosine-by-step, step or constant)");
  expect_refused("help pretrian", "invp: no command 'pretrian'; did you mean pretrain?");
  expect_refused("data",
                 "invp data: an action is missing: info, check, show, apply, synthesize or "
                 "pack");
  expect_refused("pretrain --data x --recompute norms",
                 "invp pretrain: --recompute no longer takes 'norms': use 'blocks', which saves "
                 "more memory, or 'none'; the weights are the same");
  expect_refused("op conv3d",
                 "invp op: no operation 'conv3d'; did you mean conv2d? (invp op --list names all)");
  expect_refused("pretrain --preset imagenet-mpl",
                 "invp pretrain: --preset has no choice 'imagenet-mpl'; did you mean imagenet-mlp? "
                 "(cifar10-small, cifar10, cifar100, imagenet-linear, imagenet-mlp, quickstart or "
                 "svhn)");
  expect_refused("pretrain --preset tsne-paper",
                 "invp pretrain: --preset tsne-paper is for invp tsne; for invp pretrain there are "
                 "cifar10-small, cifar10, cifar100, imagenet-linear, imagenet-mlp, quickstart, "
                 "svhn");
}

TEST(CommandLine, ChecksValuesBeforeAnyWork) {
  expect_refused("pretrain --data /nowhere --batch-size 0",
                 "invp pretrain: --batch-size must be from 2 to 65536, got 0");
  expect_refused("pretrain --data /nowhere --lr fast",
                 "invp pretrain: --lr must be a number, got 'fast'");
  expect_refused("pretrain --data /nowhere --lr nan",
                 "invp pretrain: --lr must be a number, got 'nan'");
  expect_refused("pretrain --data /nowhere --epochs 1.5",
                 "invp pretrain: --epochs must be a whole number, got '1.5'");
  expect_refused("pretrain --data /nowhere --crop-scale 0.2",
                 "invp pretrain: --crop-scale needs 2 numbers between commas, got '0.2'");
  expect_refused("pretrain --data /nowhere --crop-scale 0,1",
                 "invp pretrain: --crop-scale must be above 0, at most 1, got 0");
  expect_refused("pretrain --data /nowhere --epochs", "invp pretrain: --epochs needs a value");
  expect_refused("pretrain --data /nowhere stray",
                 "invp pretrain: takes no argument 'stray'; options begin with --");
  expect_refused("pretrain --data /nowhere --schedule step",
                 "invp pretrain: --schedule step needs --milestones N,N: the epochs after which "
                 "the rate falls");
  expect_refused("objective --to x",
                 "invp objective: --in FILE is missing: tensors to read (.safetensors)");
  expect_refused("doctor --deterministic=maybe",
                 "invp doctor: no option --deterministic; did you mean --threads?");
}

TEST(CommandLine, AFailedRunEndsWithOneAndOneLine) {
  const Outcome outcome = run_invp("convert /nowhere.pth --list");
  EXPECT_EQ(outcome.code, 1);
  EXPECT_THAT(outcome.err, StartsWith("invp convert: /nowhere.pth"));
  EXPECT_EQ(std::count(outcome.err.begin(), outcome.err.end(), '\n'), 1);
}

/// The commands that the overview lists, and the two families of commands.
std::vector<std::string> all_commands() {
  std::vector<std::string> commands = {"", "data", "bench"};
  std::istringstream lines(run_invp("--help").out);
  bool listed = false;
  for (std::string line; std::getline(lines, line);) {
    if (listed && line.empty()) break;
    if (listed) commands.push_back(line.substr(2, line.find("  ", 2) - 2));
    listed = listed || line == "Commands";
  }
  return commands;
}

TEST(CommandLine, EveryCommandExplainsItselfWithinEightyColumns) {
  EXPECT_GT(all_commands().size(), 25u);
  for (const std::string& command : all_commands()) {
    const Outcome outcome = run_invp(command + " --help");
    EXPECT_EQ(outcome.code, 0) << command;
    EXPECT_EQ(outcome.err, "") << command;
    EXPECT_THAT(outcome.out, HasSubstr("Usage: invp")) << command;
    EXPECT_EQ(run_invp("help " + command).out, outcome.out) << command;
    std::istringstream lines(outcome.out);
    for (std::string line; std::getline(lines, line);)
      EXPECT_LE(line.size(), 80u) << command << ": " << line;
  }
}

TEST(CommandLine, HelpShowsDefaultsAndAnExample) {
  const std::string help = run_invp("pretrain --help").out;
  EXPECT_THAT(help, HasSubstr("Examples\n  invp pretrain --preset cifar10"));
  for (const char* text : {"--lr X", "(default: 0.03)", "(default: 0.07)", "(default: 4096)",
                           "(default: resnet50)", "that of --augment"}) {
    EXPECT_THAT(help, HasSubstr(text));
  }
}

TEST(CommandLine, HelpBeginsWithWhatANewcomerNeeds) {
  const std::string help = run_invp("pretrain --help").out;
  const auto at = [&](const char* text) {
    const std::size_t place = help.find(text);
    EXPECT_NE(place, std::string::npos) << text;
    return place;
  };
  EXPECT_LT(at("\nNeeded\n"), at("  --data PATH"));
  EXPECT_LT(at("  --data PATH"), at("\nCommon\n"));
  EXPECT_LT(at("\nCommon\n"), at("  --epochs N"));
  EXPECT_LT(at("  --preset NAME"), at("rarely needed"));
  EXPECT_LT(at("rarely needed"), at("  --center-head"));
}

TEST(CommandLine, HelpOffersThePresetsOfTheCommandAlone) {
  const std::string pretrain = run_invp("pretrain --help").out;
  EXPECT_THAT(pretrain, HasSubstr("imagenet-mlp"));
  EXPECT_THAT(pretrain, Not(HasSubstr("tsne-paper")));
  EXPECT_THAT(pretrain, Not(HasSubstr("code-linear")));
  const std::string tsne = run_invp("tsne --help").out;
  EXPECT_THAT(tsne, HasSubstr("tsne-paper"));
  EXPECT_THAT(tsne, Not(HasSubstr("imagenet-mlp")));
  EXPECT_THAT(run_invp("doctor --help").out, Not(HasSubstr("cifar10")));
}

TEST(CommandLine, JsonIsTheLastLine) {
  const Outcome outcome = run_invp("doctor --json");
  ASSERT_EQ(outcome.code, 0);
  const auto results = nlohmann::json::parse(outcome.last_line());
  EXPECT_GE(results.at("cores").get<int>(), 1);
  EXPECT_FALSE(results.at("libraries").at("oneDNN").get<std::string>().empty());
}

// The settings a run ends up with are seen in the config.toml it leaves, written before the first
// step.
class Settings : public ::testing::Test {
 protected:
  std::string resolved(const std::string& arguments) {
    const std::string out = scratch_ / "run";
    std::filesystem::remove_all(out);
    const Outcome outcome = run_invp(
        "pretrain --format synthetic --synthetic-train 8 --synthetic-val 4 --synthetic-size 8 "
        "--width 2 "
        "--arch resnet18-cifar --stop-after 1 --out " +
        out + " " + arguments);
    EXPECT_EQ(outcome.code, 0) << outcome.err;
    return read_all(out + "/config.toml");
  }
  Scratch scratch_;
};

TEST_F(Settings, DefaultsYieldToPresetToConfigToCommandLine) {
  scratch_.write(
      "mine.toml",
      "# mine\ntau = 0.1\nhard-positives = 7\ncrop-scale = [0.3, 0.9]\nno-invariance = true\n");
  const std::string toml =
      resolved("--background 8 --batch-size 4 --hard-positives 9 --preset cifar10 --config " +
               (scratch_ / "mine.toml"));
  EXPECT_THAT(toml, HasSubstr("lambda = 0.6\n"));           // default
  EXPECT_THAT(toml, HasSubstr("weight-decay = 0.0005\n"));  // preset
  EXPECT_THAT(toml, HasSubstr("tau = 0.1\n"));              // config over preset
  EXPECT_THAT(toml, HasSubstr("crop-scale = [0.3,0.9]\n"));
  EXPECT_THAT(toml, HasSubstr("no-invariance = true\n"));
  EXPECT_THAT(toml, HasSubstr("hard-positives = 9\n"));  // command line over config
  EXPECT_THAT(toml, HasSubstr("width = 2\n"));
}

TEST_F(Settings, ConfigOfARunReadsBackTheSame) {
  const std::string first = resolved(
      "--augment cifar --batch-size 4 --background 8 --lr 0.0123 --jitter 0.1,0.2,0.3,0.4");
  EXPECT_THAT(first, HasSubstr("jitter = [0.1,0.2,0.3,0.4]\n"));
  scratch_.write("again.toml", first);
  EXPECT_EQ(resolved("--config " + (scratch_ / "again.toml")), first);
}

TEST_F(Settings, WrongKeysAndValuesNameFileLineAndTheNearest) {
  scratch_.write("bad.toml", "lr = 0.1\nepoch = 3\n");
  expect_refused("pretrain --config " + (scratch_ / "bad.toml"),
                 "invp pretrain: " + (scratch_ / "bad.toml") +
                     ":2: no setting is called 'epoch'; did you mean 'epochs'?");
  scratch_.write("bad.toml", "\nlr = -1\n");
  expect_refused(
      "pretrain --config " + (scratch_ / "bad.toml"),
      "invp pretrain: " + (scratch_ / "bad.toml") + ":2: lr must be from 0 to 1000, got -1");
  scratch_.write("bad.toml", "[train]\nlr = 1\n");
  expect_refused("pretrain --config " + (scratch_ / "bad.toml"),
                 "invp pretrain: " + (scratch_ / "bad.toml") +
                     ":1: settings stand without [train] sections: name = value");
  expect_refused(
      "pretrain --config /nowhere.toml",
      "invp pretrain: --config /nowhere.toml: cannot be read (is it there, is it a file?)");
}

TEST(Presets, HoldThePapersSettings) {
  const std::string mlp = read_all(std::string(INVP_SOURCE_DIR) + "/configs/imagenet-mlp.toml");
  for (const char* line :
       {"arch = \"resnet50\"", "head = \"mlp\"", "tau = 0.2", "neighbors = 4", "steps = 3",
        "hard-positives = 50", "background = 4096", "lambda = 0.6", "warm-epochs = 30",
        "epochs = 800", "batch-size = 128", "lr = 0.03", "weight-decay = 1e-4"}) {
    EXPECT_THAT(mlp, HasSubstr(std::string(line) + "\n"));
  }
  const Scratch scratch;
  // Each preset is taken whole by the command it is for: what is refused is the missing data alone.
  for (const auto& file :
       std::filesystem::directory_iterator(std::string(INVP_SOURCE_DIR) + "/configs")) {
    if (file.path().extension() != ".toml") continue;
    const std::string name = file.path().stem().string();
    // Its example says whose it is: "#   invp linear --preset ...".
    const std::string text = read_all(file.path());
    const std::size_t example = text.find("#   invp ");
    ASSERT_NE(example, std::string::npos) << name;
    const std::size_t begin = example + std::string_view("#   invp ").size();
    // "finetune", or "detect train": what stands before the options.
    const std::string command = text.substr(begin, text.find(" --", begin) - begin);
    const std::string missing =
        command == "pretrain" ? " --data /nowhere --format imagefolder"
                              : " --checkpoint /nowhere --data /nowhere --out " + (scratch / "out");
    const Outcome outcome = run_invp(command + missing + " --preset " + name);
    EXPECT_EQ(outcome.code, 1) << name << ": " << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("/nowhere")) << name;
  }
}

}  // namespace
}  // namespace invp
