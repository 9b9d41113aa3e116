// The option tables: which options decide the weights of a run, and the text that stands for a
// value.
#include "tools/options/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "engine/core/error.h"
#include "tools/options/augment_options.h"
#include "tools/options/settings.h"
#include "tools/options/training_tables.h"

namespace invp::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::Pair;

std::set<std::string> names(const std::vector<std::pair<std::string, std::string>>& deciding) {
  std::set<std::string> names;
  for (const auto& [name, value] : deciding) names.insert(name);
  return names;
}

TEST(Deciding, EveryOptionOfEveryCommandThatTrainsSaysWhetherItDecides) {
  std::set<std::string> commands;
  for (const TrainingTable& table : training_tables()) {
    commands.insert(table.command);
    EXPECT_GT(table.options.specs().size(), 40u) << table.command;
    for (const Options::Spec& spec : table.options.specs())
      EXPECT_TRUE(spec.decides) << table.command << " --" << spec.name;
  }
  EXPECT_EQ(commands, (std::set<std::string>{"pretrain", "linear", "finetune", "detect train"}));
}

TEST(Deciding, WhatOnlyMovesOrWatchesARunDoesNotDecide) {
  const std::set<std::string> never = {
      "data",       "format",        "workers",    "augment-on", "recompute",  "device",
      "threads",    "out",           "resume",     "save-every", "save-steps", "save-minutes",
      "stop-after", "max-bad-share", "eval-every", "knn-k",      "knn-tau",    "knn-every",
      "checkpoint", "config",        "preset",     "json",       "help",       "synthetic-val",
      "views",      "test-flip-prob"};
  for (const TrainingTable& table : training_tables()) {
    for (const std::string& name : names(table.options.deciding()))
      EXPECT_FALSE(never.contains(name)) << table.command << " --" << name;
  }
}

TEST(Deciding, WhatEarlierIdentitiesHadOrMissedDecides) {
  const std::map<std::string, std::vector<std::string>> deciding = {
      {"pretrain",
       {"arch",
        "width",
        "head",
        "dim",
        "objective",
        "tau",
        "bank-momentum",
        "neighbors",
        "steps",
        "hard-positives",
        "background",
        "lambda",
        "positives",
        "no-invariance",
        "warm-epochs",
        "ramp",
        "epochs",
        "batch-size",
        "lr",
        "schedule",
        "milestones",
        "lr-decay",
        "warmup-epochs",
        "momentum",
        "weight-decay",
        "bank-start",
        "center-head",
        "augment",
        "image-size",
        "framing",
        "crop-scale",
        "crop-ratio",
        "jitter",
        "jitter-prob",
        "gray-prob",
        "gray-before-jitter",
        "blur-prob",
        "blur-sigma",
        "flip-prob",
        "normalize-mean",
        "normalize-std",
        "resize-shorter",
        "dct-scaling",
        "decode-on",
        "precision",
        "seed",
        "deterministic",
        "bn-groups",
        "synthetic-seed"}},
      {"linear", {"protocol",      "taps",      "pooling",    "head-init",      "head-norm",
                  "train-network", "augment",   "image-size", "cache-features", "epochs",
                  "batch-size",    "lr",        "milestones", "lr-decay",       "momentum",
                  "weight-decay",  "precision", "seed",       "deterministic",  "voc-train"}},
      {"finetune", {"protocol",   "from-scratch", "arch",       "width",          "epochs",
                    "batch-size", "lr",           "fc-lr",      "fc-first-lr",    "fc-constant",
                    "fc-only",    "milestones",   "lr-decay",   "momentum",       "weight-decay",
                    "bn-groups",  "augment",      "image-size", "normalize-mean", "precision",
                    "seed",       "deterministic"}},
      {"detect train",
       {"from-scratch", "width",    "batch-size",    "bn-groups",   "norms",        "iterations",
        "lr",           "warmup",   "drops",         "momentum",    "weight-decay", "precise-bn",
        "min-sizes",    "max-size", "flip-prob",     "rpn-samples", "proposals",    "regions",
        "precision",    "seed",     "deterministic", "keep-empty"}}};
  for (const TrainingTable& table : training_tables())
    EXPECT_THAT(names(table.options.deciding()), IsSupersetOf(deciding.at(table.command)))
        << table.command;
}

TEST(Deciding, AnOptionWithoutAMarkIsNamed) {
  Options options;
  bool decided = false;
  bool forgotten = false;
  options.group("Marked", Decides::kWeights);
  options.flag("decided", decided, "");
  EXPECT_EQ(options.deciding().size(), 1u);
  options.group("Unmarked");
  options.flag("forgotten", forgotten, "");
  try {
    options.deciding();
    FAIL() << "not named";
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("--forgotten"));
    EXPECT_THAT(error.what(), Not(HasSubstr("--decided")));
  }
  options.does_not_decide();
  EXPECT_EQ(options.deciding().size(), 1u);
}

TEST(Deciding, ValuesAreTextsThatReadBackTheSame) {
  Options options;
  bool flag = false;
  float third = 1.0F / 3;
  double tiny = 1e-300;
  double tenth = 0.1;
  double huge = 1.5e300;
  std::int64_t seed = 9'000'000'000'000'000'001;
  std::string choice = "b";
  std::string path = "a \"b\"";
  std::string unset;
  std::vector<std::int64_t> milestones = {120, 160};
  std::vector<double> scale = {0.2, 1};
  std::vector<double> none;
  options.group("All", Decides::kWeights);
  options.flag("flag", flag, "");
  options.number("third", third, {}, "");
  options.number("tiny", tiny, {}, "");
  options.number("tenth", tenth, {}, "");
  options.number("huge", huge, {}, "");
  options.integer("seed", seed, {}, "");
  options.choice("choice", choice, {"a", "b"}, "");
  options.text("path", path, "FILE", "");
  options.text("unset", unset, "FILE", "");
  options.integers("milestones", milestones, {}, "");
  options.numbers("scale", scale, 2, {}, "");
  options.numbers("none", none, 2, {}, "");
  bool elsewhere = true;
  options.flag("elsewhere", elsewhere, "").does_not_decide();
  EXPECT_THAT(options.deciding(),
              ElementsAre(Pair("flag", "false"), Pair("third", "0.33333334"),
                          Pair("tiny", "1e-300"), Pair("tenth", "0.1"), Pair("huge", "1.5e+300"),
                          Pair("seed", "9000000000000000001"), Pair("choice", "b"),
                          Pair("path", "a \"b\""), Pair("unset", ""), Pair("milestones", "120,160"),
                          Pair("scale", "0.2,1"), Pair("none", "")));
  // Neighboring floats have texts of their own; what is equal has one.
  third = std::nextafter(third, 1.0F);
  EXPECT_THAT(options.deciding()[1], Pair("third", "0.33333337"));
  tenth = 0.30000000000000004;
  EXPECT_THAT(options.deciding()[3], Pair("tenth", "0.30000000000000004"));
  tenth = -0.0;
  EXPECT_THAT(options.deciding()[3], Pair("tenth", "0"));
}

// Every setting of a pipeline is an option: the options alone, without the name of the settings,
// give it again.
TEST(Deciding, NothingOfAnAugmentationIsLeftToItsName) {
  for (const std::string_view name : augment_presets()) {
    AugmentOptions named;
    Options options;
    named.declare(options);
    const AugmentConfig config = named.resolve(options, augment_preset(name));
    std::vector<Setting> settings = parse_settings(options.to_toml(), "resolved");
    std::erase_if(settings, [](const Setting& setting) { return setting.name == "augment"; });
    AugmentOptions other("none");
    Options alone;
    other.declare(alone);
    alone.apply(settings, {});
    EXPECT_EQ(other.resolve(alone), config) << name << '\n' << options.to_toml();
  }
}

std::string refusal(const std::string& toml) {
  try {
    parse_settings(toml, "run.toml");
  } catch (const UsageError& error) {
    return error.what();
  }
  return "no error";
}

// toml++ asserts that a digit follows the T.
TEST(SettingsText, BrokenDatesAreRefused) {
  for (const char* value :
       {"1979-05-27T", "1979-05-27TA07:32:05", "1979-05-27T\x0f", "1979-05-27T:"})
    EXPECT_THAT(refusal(std::string("x = ") + value + "\n"), HasSubstr("not TOML")) << value;
  EXPECT_THAT(refusal("x = 1979-05-27T07:32:00Z\n"), HasSubstr("x must be a number, a string"));
}

// toml++ 3.3 takes it for granted that there are none.
TEST(SettingsText, LettersBeyondAsciiStandInQuotesAndCommentsAlone) {
  for (const char* fine :
       {"x = \"é\"", "x = 'é'", "x = \"\"\"é\n\\\"é\"\"\"", "x = '''é\n'é''é'''", "# é\nx = 1",
        "x = 1 # é", "\xEF\xBB\xBFx = 1", "\"é\" = 1", "x = '\\' # é", "x = \"\\\"é\"",
        "x = '''a'''''\ny = 'é'", "x = [\"é\", 'é']"})
    EXPECT_EQ(refusal(fine), "no error") << fine;
  struct Case {
    const char* toml;
    const char* place;
  };
  const std::vector<Case> cases = {{"é = 1", ":1: not settings: column 1:"},
                                   {"x = é", ":1: not settings: column 5:"},
                                   {"# é\nx = \"é\" é", ":2: not settings: column 9:"},
                                   {"x = 'a\né'", ":2: not settings: column 1:"},
                                   {"x = '''a''''é", ":1: not settings: column 13:"},
                                   {"x = \"\"é", ":1: not settings: column 7:"},
                                   {"x = 1\xA0", ":1: not settings: column 6:"},
                                   {"[é]", ":1: not settings: column 2:"}};
  for (const auto& [toml, place] : cases)
    EXPECT_THAT(refusal(toml), HasSubstr(std::string("run.toml") + place)) << toml;
}

// The parser enters itself for each part of a name and each bracket.
TEST(SettingsText, NestingWithoutEndIsRefused) {
  std::string name = "a";
  for (int i = 0; i < 200'000; ++i) name += ".a";
  EXPECT_THAT(refusal("\n" + name + " = 1\n"), HasSubstr("run.toml:2: not settings"));
  EXPECT_THAT(refusal("[" + name + "]\n"), HasSubstr("run.toml:1: not settings"));
  EXPECT_THAT(refusal("x = {" + name + " = 1}\n"), HasSubstr("run.toml:1: not settings"));
  EXPECT_THAT(refusal("x = " + std::string(200'000, '[')), HasSubstr("run.toml:1: not TOML"));
  std::string sections = "a = 1\n";
  for (int i = 0; i < 2'000; ++i) sections += "# " + std::string(500, '.') + "\n";
  EXPECT_EQ(refusal(sections), "no error");
}

}  // namespace
}  // namespace invp::cli
