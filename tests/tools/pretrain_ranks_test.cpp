// invp pretrain --ranks: what it writes, stops and resumes as one process does.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "engine/comm/mpi_launcher.h"
#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

/// 67 images in batches of 16: the last has 3.
class PretrainOnRanks : public RunTest {
 protected:
  PretrainOnRanks()
      : RunTest(
            "pretrain --format synthetic --synthetic-train 67 --synthetic-val 40 "
            "--synthetic-size 16 --synthetic-classes 4 --image-size 16 --epochs 3 --batch-size 16 "
            "--lr 0.02 --seed 3 --workers 1 --device cpu --arch resnet18-cifar --width 4 --dim 8 "
            "--augment cifar --background 8 --hard-positives 2 --warm-epochs 1 --knn-k 5 "
            "--threads 1 --save-steps 1 ") {}

  void SetUp() override {
    try {
      mpi_command(1, std::getenv("PATH"));
    } catch (const std::exception& error) {
      GTEST_SKIP() << error.what();
    }
  }
};

TEST_F(PretrainOnRanks, EndsInTheBytesOfOneProcess) {
  ASSERT_EQ(train("one", "--bn-groups 4").code, 0);
  for (const int ranks : {2, 4}) {
    const std::string name = std::to_string(ranks);
    const Outcome outcome = train(name, "--bn-groups 4 --json --ranks " + name);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(read_all(last(name)) == read_all(last("one"))) << ranks;
    EXPECT_THAT(outcome.err,
                StartsWith("batch 16 = " + name + " ranks x " + std::to_string(16 / ranks) +
                           " images, 4 groups of batch norm, lr 0.02, launched by mp"));
    const auto results = nlohmann::json::parse(outcome.last_line());
    EXPECT_EQ(results["ranks"], ranks);
    EXPECT_EQ(results["bn_groups"], 4);
    EXPECT_EQ(std::filesystem::exists(out(name) + "/ranks"), false) << "nobody was lost";
  }
}

// A part of the bank on each rank: the same bytes for any number of them.
TEST_F(PretrainOnRanks, WithAShardedBankEndInTheBytesOfOneProcess) {
  const std::string sharded = "--bn-groups 4 --bank sharded ";
  ASSERT_EQ(train("one", sharded).code, 0);
  for (const int ranks : {2, 4}) {
    const std::string name = std::to_string(ranks);
    const Outcome outcome = train(name, sharded + "--ranks " + name);
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_TRUE(read_all(last(name)) == read_all(last("one"))) << ranks;
  }
  const Outcome other = train("2", "--bn-groups 4 --bank replicated --resume auto");
  EXPECT_EQ(other.code, 1);
  EXPECT_THAT(other.err, HasSubstr("with --bank sharded, this run has --bank replicated"));
}

TEST_F(PretrainOnRanks, WithGradientsIn16BitsEndInTheBytesOfOneProcess) {
  const std::string narrow = "--bn-groups 4 --wire bf16 ";
  ASSERT_EQ(train("one", narrow).code, 0);
  const Outcome two = train("two", narrow + "--ranks 2");
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_TRUE(read_all(last("two")) == read_all(last("one")));
  ASSERT_EQ(train("wide", "--bn-groups 4 --ranks 2").code, 0);
  EXPECT_FALSE(read_all(last("wide")) == read_all(last("one"))) << "nothing was rounded";
  const Outcome sync = train("sync", narrow + "--norms sync");
  EXPECT_EQ(sync.code, 2);
  EXPECT_THAT(sync.err, HasSubstr("--norms local, or --wire fp32"));
}

TEST_F(PretrainOnRanks, StopsAndGoesOnWithAnotherNumber) {
  const std::string longer = "--bn-groups 4 --epochs 20 ";
  ASSERT_EQ(train("longer", longer).code, 0);
  for (const int signal : {SIGTERM, SIGINT}) {
    const std::string name = "signal" + std::to_string(signal);
    ASSERT_EQ(interrupted(name, longer + "--ranks 2", signal), 128 + signal);
    const Outcome end = train(name, longer + "--ranks 4 --resume auto");
    ASSERT_EQ(end.code, 0) << end.err;
    EXPECT_TRUE(read_all(last(name)) == read_all(last("longer"))) << signal;
  }
  ASSERT_EQ(train("whole", "--bn-groups 4").code, 0);
  const std::string want = read_all(last("whole"));
  for (const int stop : {3, 5, 11}) {
    const std::string name = "stop" + std::to_string(stop);
    ASSERT_EQ(train(name, "--bn-groups 4 --ranks 4 --stop-after " + std::to_string(stop)).code, 0);
    const Outcome end = train(name, "--bn-groups 4 --ranks 2 --resume auto");
    ASSERT_EQ(end.code, 0) << end.err;
    EXPECT_TRUE(read_all(last(name)) == want) << stop;
  }
}

/// The losses of a run's epochs.
std::vector<double> losses(const std::filesystem::path& folder) {
  std::vector<double> all;
  std::ifstream lines(folder / "metrics.jsonl");
  for (std::string line; std::getline(lines, line);) {
    const auto epoch = nlohmann::json::parse(line);
    if (epoch.contains("loss")) all.push_back(epoch["loss"]);
  }
  return all;
}

// Without --bn-groups all ranks share one group. The rate is low: training makes rounding grow.
TEST_F(PretrainOnRanks, OfOneGroupHaveTheLossOfOneProcess) {
  ASSERT_EQ(train("one", "--lr 1e-5").code, 0);
  const std::vector<double> want = losses(out("one"));
  ASSERT_GE(want.size(), 3U);
  const Outcome outcome = train("two", "--lr 1e-5 --ranks 2");
  ASSERT_EQ(outcome.code, 0) << outcome.err;
  EXPECT_THAT(outcome.err,
              HasSubstr("batch 16 = 2 ranks x 8 images, 1 group of batch norm over "
                        "all ranks, lr 1e-05, rounded otherwise than on one rank, launched by mp"));
  const std::vector<double> got = losses(out("two"));
  ASSERT_EQ(got.size(), want.size());
  // Bank and graph take up what was rounded, and the first neighbor that changes shows.
  EXPECT_NEAR(got[0], want[0], 1e-5 * want[0]);
  for (std::size_t i = 1; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-2 * want[i]) << i;
}

TEST_F(PretrainOnRanks, WhoseNormsSeeAllGroupsEndInTheBytesOfOneProcess) {
  for (const std::string norms : {"sync", "naive"}) {
    const std::string options = "--bn-groups 4 --norms " + norms;
    ASSERT_EQ(train(norms + "1", options).code, 0);
    const Outcome outcome = train(norms + "2", options + " --ranks 2");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_THAT(outcome.err, HasSubstr("4 groups of batch norm, of common statistics (" + norms));
    EXPECT_TRUE(read_all(last(norms + "1")) == read_all(last(norms + "2"))) << norms;
  }
  EXPECT_FALSE(read_all(last("sync1")) == read_all(last("naive1")));
}

// Behind MPI's launcher, too, a terminal gets a bar: that of rank 0.
TEST_F(PretrainOnRanks, ShowOneBar) {
  for (const bool terminal : {true, false}) {
    setenv("TERM", "xterm", 1);
    if (terminal) setenv("INVP_TERMINAL", "80", 1);
    const std::string name = terminal ? "bar" : "plain";
    const Outcome outcome = train(name, "--bn-groups 4 --ranks 2 --rank-logs");
    unsetenv("INVP_TERMINAL");
    ASSERT_EQ(outcome.code, 0) << outcome.err;
    EXPECT_EQ(outcome.err.find("\repoch 1/3") != std::string::npos, terminal) << outcome.err;
    const std::string log = read_all(out(name) + "/ranks/rank-0001.log");
    EXPECT_THAT(log, HasSubstr("network  resnet18-cifar"));
    EXPECT_EQ(log.find('\r'), std::string::npos) << log;
  }
}

TEST_F(PretrainOnRanks, AreRefusedWhereImagesAreFewerThanRanks) {
  const Outcome outcome = train("refused", "--bn-groups 1 --batch-size 2 --ranks 3");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--batch-size 2 is less than one image for each of 3 ranks"));
}

TEST_F(PretrainOnRanks, AreRefusedWhereGroupsCannotBeShared) {
  const Outcome outcome = train("refused", "--bn-groups 3 --ranks 2");
  EXPECT_EQ(outcome.code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("--bn-groups 3 cannot be shared by 2 ranks"));
  EXPECT_THAT(outcome.err, HasSubstr("--bn-groups 4"));
  EXPECT_FALSE(std::filesystem::exists(out("refused")));
}

}  // namespace
}  // namespace invp::testing
