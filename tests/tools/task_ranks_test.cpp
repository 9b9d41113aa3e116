// --ranks of the commands that train from a checkpoint: what they write, say, stop and resume.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "engine/comm/mpi_launcher.h"
#include "tests/tools/run_test.h"
#include "tests/tools/task_commands.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// One of these commands, and what its line one says of two ranks.
struct Training {
  const char* name;
  std::string (*command)(const std::string& device);
  const char* two_ranks;
  const char* longer;  ///< to be stopped in
};

class TaskOnRanks : public RunTest, public ::testing::WithParamInterface<Training> {
 protected:
  TaskOnRanks() : RunTest(GetParam().command("cpu")) {}
  void SetUp() override {
    try {
      mpi_command(1, std::getenv("PATH"));
    } catch (const std::exception& error) {
      GTEST_SKIP() << error.what();
    }
  }
};

TEST_P(TaskOnRanks, EndsInTheBytesOfOneProcess) {
  const Outcome one = train("one");
  ASSERT_EQ(one.code, 0) << one.err;
  auto want = nlohmann::json::parse(one.last_line());
  EXPECT_EQ(want["ranks"], 1);
  for (const int ranks : {2, 4}) {
    const std::string name = std::to_string(ranks);
    const Outcome outcome = train(name, "--ranks " + name);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(read_all(last(name)) == read_all(last("one"))) << ranks;
    if (ranks == 2) {
      EXPECT_THAT(outcome.err, StartsWith(GetParam().two_ranks));
      EXPECT_THAT(read_all(out(name) + "/log.txt"), HasSubstr(GetParam().two_ranks));
    }
    auto got = nlohmann::json::parse(outcome.last_line());
    EXPECT_EQ(got["ranks"], ranks);
    EXPECT_EQ(got["bn_groups"], 4);
    for (const char* const name_of : {"top1", "top5", "mean_per_class", "taps", "ap50", "loss"}) {
      EXPECT_EQ(got.contains(name_of), want.contains(name_of)) << name_of;
      if (want.contains(name_of)) {
        EXPECT_EQ(got[name_of], want[name_of]) << name_of;
      }
    }
  }
}

TEST_P(TaskOnRanks, StopsAndGoesOnWithAnotherNumber) {
  const std::string longer = GetParam().longer;
  ASSERT_EQ(train("longer", longer).code, 0);
  ASSERT_EQ(interrupted("stopped", longer + " --ranks 2", SIGTERM), 128 + SIGTERM);
  const Outcome end = train("stopped", longer + " --ranks 4 --resume auto");
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_TRUE(read_all(last("stopped")) == read_all(last("longer")));
}

TEST_P(TaskOnRanks, AreRefusedWhereGroupsCannotBeShared) {
  const Outcome outcome = train("refused", "--ranks 3");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--bn-groups 4 cannot be shared by 3 ranks"));
  EXPECT_FALSE(std::filesystem::exists(out("refused")));
}

INSTANTIATE_TEST_SUITE_P(
    Every, TaskOnRanks,
    ::testing::Values(
        Training{"Linear", linear, "batch 16 = 2 ranks x 8 images, 4 groups, lr 3, launched by mp",
                 "--epochs 30"},
        Training{"Finetune", finetune,
                 "batch 16 = 2 ranks x 8 images, 4 groups of batch norm, lr 0.02, launched by mp",
                 "--epochs 30"},
        Training{"Detection", detection,
                 "batch 4 = 2 ranks x 2 pictures, 4 groups of batch norm, of common statistics "
                 "(naive), lr 0.02, launched by mp",
                 "--iterations 60 --drops 50"}),
    [](const auto& training) { return std::string(training.param.name); });

}  // namespace
}  // namespace invp::testing
