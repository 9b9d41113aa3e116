// Every option of every command that resumes, changed between a run and its continuation: the run
// is refused before it writes anything, or it ends in the same weights. One that decides the
// weights must be refused, with its name and both values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "engine/files/safetensors.h"
#include "tests/tools/devkit.h"
#include "tests/tools/run_test.h"
#include "tools/options/training_tables.h"

namespace invp::testing {
namespace {

using cli::Decides;
using cli::Options;
using cli::TrainingTable;
using ::testing::HasSubstr;

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kSanitized = true;
#elif defined(__has_feature)
constexpr bool kSanitized = __has_feature(address_sanitizer);
#else
constexpr bool kSanitized = false;
#endif

constexpr const char* kCommon =
    " --format synthetic --synthetic-train 24 --synthetic-val 8 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --epochs 2 --batch-size 8 --lr 0.02 --seed 3 --threads "
    "1 "
    "--workers 1 --device cpu ";

/// What the command line of a run needs beside these, by command.
const std::map<std::string, std::string>& runs() {
  static const std::map<std::string, std::string> all = {
      {"pretrain",
       "--arch resnet18-cifar --width 2 --dim 8 --augment cifar --background 8 "
       "--hard-positives 2 --warm-epochs 1 --knn-k 5 --schedule step --milestones 1 "},
      {"linear", "--augment linear-cifar --taps 1,9 --milestones 1 "},
      {"finetune",
       "--protocol semi --labels 50% --from-scratch --arch resnet18-cifar --width 2 "
       "--milestones 1 "}};
  return all;
}

/// All of a run's command line but --out.
std::string command_line(const std::string& command) {
  if (command != "detect train") return command + kCommon + runs().at(command);
  static const Scratch scratch;
  static const std::string devkit = [] {
    write_devkit(scratch / "devkit", 5, 2);
    return scratch / "devkit";
  }();
  return command + " --data " + devkit +
         " --from-scratch --width 2 --batch-size 2 --schedule-pictures 2 --bn-groups 2 "
         "--iterations 6 --min-sizes 32,48 --max-size 64 --test-size 32 --regions 8 --proposals 40 "
         "--rpn-samples 16 --warmup 2 --drops 5 --report-every 3 --precise-bn 1 --lr 0.02 --seed 3 "
         "--threads 1 --workers 1 --device cpu ";
}

/// Options that say how to find the run, or stop it before its end.
const std::set<std::string>& left_out() {
  static const std::set<std::string> names = {"out",        "resume", "stop-after", "data",
                                              "checkpoint", "help",   "config",     "preset",
                                              "max-pixels"};  // of which all pictures have more
  return names;
}

/// Options that change the order of sums, as another machine does: the last bits may differ. Ranks
/// do where they are more than the groups of batch norm; else tests/tools/pretrain_ranks_test.cpp
/// has their bits.
const std::set<std::string>& rounds() {
  static const std::set<std::string> names = {"threads", "device", "ranks"};
  return names;
}

/// A few values of every kind that an option may take.
std::vector<std::string> values_of(const Options::Spec& option) {
  if (option.value_name.empty()) return {""};
  if (option.name == "epochs") return {"1"};  // more of them are taken: see below
  if (!option.choices.empty()) return option.choices;
  if (option.name == "min-sizes" || option.name == "max-size" || option.name == "test-size")
    return {"16", "48"};
  if (option.name == "bn-groups") return {"1", "2"};
  if (option.name == "batch-size") return {"2", "4", "8"};
  return {"3", "2", "0.5", "0.25", "0.9,1", "0.1,0.2,0.3,0.1", "0.3,0.4,0.5", "1,8", "20%", "all"};
}

class EveryOption : public RunTest, public ::testing::WithParamInterface<std::string> {
 protected:
  EveryOption() : RunTest(command_line(GetParam()) + network()) {}

  /// The frozen network of linear classification.
  static std::string network() {
    if (GetParam() != "linear") return "";
    static const Scratch scratch;
    static const std::string folder = [] {
      const Outcome made = run_invp("pretrain" + std::string(kCommon) + runs().at("pretrain") +
                                    "--out " + (scratch / "network"));
      EXPECT_EQ(made.code, 0) << made.err;
      return scratch / "network";
    }();
    return "--checkpoint " + folder + "/checkpoints/last.safetensors ";
  }

  /// Goes on with the option changed. True unless the command line itself is refused.
  bool try_value(const Options::Spec& option, const std::string& value) {
    const std::string name = option.name + std::to_string(++count_);
    const std::string change =
        "--" + option.name + (option.value_name.empty() ? "" : " '" + value + "' ");
    const Outcome outcome = train(name, change + " --resume " + last("part"));
    if (outcome.code == 2) return false;
    if (outcome.code == 0) {
      if (!rounds().contains(option.name)) expect_same(last(name), change);
      accepted_.insert(option.name);
      return true;
    }
    EXPECT_EQ(outcome.code, 1) << change << outcome.err;
    EXPECT_FALSE(std::filesystem::exists(out(name))) << change << ": refused, after writing";
    if (outcome.err.find("was trained with --" + option.name + ' ') != std::string::npos)
      refused_.insert(option.name);
    return true;
  }

  /// Every tensor to the bit, and the metadata but for which epoch was judged best.
  void expect_same(const std::string& file, const std::string& change) const {
    const TensorFile end = read_safetensors(file);
    ASSERT_EQ(end.tensors.size(), whole_.tensors.size());
    for (const auto& [name, tensor] : whole_.tensors) {
      const Tensor* const other = end.find(name);
      ASSERT_NE(other, nullptr) << change << name;
      EXPECT_EQ(std::memcmp(other->raw(), tensor.raw(), tensor.nbytes()), 0)
          << change << ": accepted, with another " << name;
    }
    for (const auto& [key, value] : whole_.metadata) {
      // The size of the last evaluation's pictures.
      if (!key.starts_with("position.best") && key != "detector.test_size") {
        EXPECT_EQ(end.metadata.at(key), value) << change << key;
      }
    }
  }

  TensorFile whole_;
  int count_ = 0;
  std::set<std::string> accepted_;  ///< with the same bytes
  std::set<std::string> refused_;   ///< by their name
};

INSTANTIATE_TEST_SUITE_P(Commands, EveryOption,
                         ::testing::Values("pretrain", "linear", "finetune", "detect train"),
                         [](const auto& command) {
                           return command.param.substr(0, command.param.find(' '));
                         });

TEST_P(EveryOption, IsRefusedOrChangesNothing) {
  if (kSanitized) GTEST_SKIP() << "hundreds of runs, which take minutes under the sanitizers";
  ASSERT_EQ(train("whole").code, 0);
  whole_ = read_safetensors(last("whole"));
  ASSERT_EQ(train("part", "--stop-after 4").code, 0);
  for (const TrainingTable& table : cli::training_tables()) {
    if (table.command != GetParam()) continue;
    for (const Options::Spec& option : table.options.specs()) {
      if (left_out().contains(option.name)) continue;
      bool tried = false;
      for (const std::string& value : values_of(option)) tried = try_value(option, value) || tried;
      // Options that only go together with others.
      const std::set<std::string> together = {"decode-on", "precision", "protocol", "from-scratch"};
      if (option.decides == Decides::kWeights && tried && !together.contains(option.name)) {
        EXPECT_TRUE(refused_.contains(option.name))
            << "--" << option.name << " decides the weights, but no other value was refused";
      }
      // --bank auto says nothing yet; what comes of it is recorded, and decides.
      if (option.decides == Decides::kNothing && option.name != "bank") {
        EXPECT_FALSE(refused_.contains(option.name)) << "--" << option.name << " decides nothing";
      }
    }
  }
  EXPECT_GT(accepted_.size(), 10u);
  EXPECT_GT(refused_.size(), 15u);
}

class MoreEpochs : public RunTest {
 protected:
  MoreEpochs() : RunTest("pretrain" + std::string(kCommon) + runs().at("pretrain")) {}
};

TEST_F(MoreEpochs, AreTakenWhereTheScheduleAllows) {
  ASSERT_EQ(train("three", "--epochs 3").code, 0);
  ASSERT_EQ(train("more").code, 0);
  const Outcome more = train("more", "--epochs 3 --resume auto");
  ASSERT_EQ(more.code, 0) << more.err;
  EXPECT_TRUE(read_all(last("more")) == read_all(last("three")))
      << "a run of three epochs, and one of two that goes on to three";
  for (const std::string schedule : {"cosine", "cosine-by-step"}) {
    ASSERT_EQ(train(schedule, "--schedule " + schedule).code, 0);
    const std::string before = read_all(last(schedule));
    const Outcome refused = train(schedule, "--schedule " + schedule + " --epochs 3 --resume auto");
    EXPECT_EQ(refused.code, 1);
    EXPECT_THAT(refused.err, HasSubstr("--epochs 2"));
    EXPECT_THAT(refused.err, HasSubstr("--epochs 3"));
    EXPECT_THAT(refused.err, HasSubstr("cosine schedule"));
    EXPECT_TRUE(read_all(last(schedule)) == before);
  }
}

// The run's settings are written when it goes on, not when it is refused.
TEST_F(MoreEpochs, ARefusedRunLeavesEveryFileAlone) {
  ASSERT_EQ(train("run", "--stop-after 4").code, 0);
  std::map<std::string, std::string> before;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out("run"))) {
    if (entry.is_regular_file()) before[entry.path()] = read_all(entry.path());
  }
  for (const char* other : {"--lr 0.5 --resume auto", "--synthetic-seed 4 --resume auto", ""})
    EXPECT_EQ(train("run", other).code, 1) << other;
  std::map<std::string, std::string> after;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(out("run"))) {
    if (entry.is_regular_file()) after[entry.path()] = read_all(entry.path());
  }
  EXPECT_EQ(after, before);
}

}  // namespace
}  // namespace invp::testing
