// Training on several GPUs: started by --ranks, and by launchers without MPI. The GPUs are
// emulated.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/tools/run_test.h"
#include "tests/tools/task_commands.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

/// 19 images in batches of 8: the last has 3.
class PretrainOnGpus : public RunTest {
 protected:
  PretrainOnGpus()
      : RunTest(
            "pretrain --format synthetic --synthetic-train 19 --synthetic-val 8 "
            "--synthetic-size 16 --synthetic-classes 4 --image-size 16 --epochs 2 --batch-size 8 "
            "--lr 0.02 --seed 3 --workers 1 --device cuda --arch resnet18-cifar --width 4 --dim 8 "
            "--augment cifar --background 8 --hard-positives 2 --warm-epochs 1 --knn-k 5 "
            "--threads 1 --save-steps 1 --bn-groups 2 ") {}

  void SetUp() override { setenv("INVP_EMULATED_GPUS", "2", 1); }
  void TearDown() override { unsetenv("INVP_EMULATED_GPUS"); }

  std::string one() {
    EXPECT_EQ(train("one", "").code, 0);
    return read_all(last("one"));
  }
  /// Two processes, each with its own variables, as a launcher starts them. The code of the first.
  int by_launcher(const std::string& name, const std::string& first,
                  const std::string& second) const {
    const std::string run = program() + " " + arguments(name, "");
    const std::string command = "env " + second + " " + run + " >/dev/null 2>&1 & env " + first +
                                " " + run + " >" + shell_word(out(name) + ".txt") +
                                " 2>&1; code=$?; wait; exit $code";
    return exit_code(std::system(command.c_str()));
  }
};

TEST_F(PretrainOnGpus, EndsInTheBytesOfOneGpu) {
  const std::string want = one();
  const Outcome two = train("two", "--ranks 2 --json");
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_TRUE(read_all(last("two")) == want);
  EXPECT_THAT(two.err, HasSubstr("batch 8 = 2 ranks x 4 images, 2 groups of batch norm, lr 0.02, "
                                 "launched by --ranks"));
  EXPECT_EQ(nlohmann::json::parse(two.last_line())["ranks"], 2);
  const Outcome all = train("auto", "--ranks auto");
  ASSERT_EQ(all.code, 0) << all.err;
  EXPECT_TRUE(read_all(last("auto")) == want);
}

TEST_F(PretrainOnGpus, AreFoundByWhatTorchrunAndSrunSet) {
  const std::string want = one();
  const std::string job = std::to_string(getpid());
  const auto torchrun = [&](const std::string& rank) {
    return "WORLD_SIZE=2 LOCAL_WORLD_SIZE=2 MASTER_ADDR=127.0.0.1 MASTER_PORT=29500 "
           "TORCHELASTIC_RUN_ID=" +
           job + " RANK=" + rank + " LOCAL_RANK=" + rank;
  };
  EXPECT_EQ(by_launcher("torchrun", torchrun("0"), torchrun("1")), 0)
      << read_all(out("torchrun") + ".txt");
  EXPECT_TRUE(read_all(last("torchrun")) == want);
  const auto srun = [&](const std::string& rank) {
    return "SLURM_STEP_NUM_TASKS=2 SLURM_STEP_TASKS_PER_NODE=2 SLURM_NODEID=0 "
           "SLURM_STEP_NODELIST=localhost SLURM_STEP_ID=0 SLURM_JOB_ID=" +
           job + " SLURM_PROCID=" + rank + " SLURM_LOCALID=" + rank;
  };
  EXPECT_EQ(by_launcher("srun", srun("0"), srun("1")), 0) << read_all(out("srun") + ".txt");
  EXPECT_TRUE(read_all(last("srun")) == want);
}

TEST_F(PretrainOnGpus, StopAndGoOnWithAnotherNumber) {
  const std::string longer = "--epochs 8 ";
  ASSERT_EQ(train("longer", longer).code, 0);
  ASSERT_EQ(interrupted("stopped", longer + "--ranks 2", SIGTERM), 128 + SIGTERM);
  const Outcome end = train("stopped", longer + "--resume auto");
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_TRUE(read_all(last("stopped")) == read_all(last("longer")));
}

TEST_F(PretrainOnGpus, OfWhichThereAreTooFewAreRefused) {
  const Outcome three = train("three", "--ranks 3 --bn-groups 3");
  EXPECT_EQ(three.code, 2);
  EXPECT_THAT(three.err,
              HasSubstr("--ranks 3: there are 2 GPUs here; --device cpu computes without"));
  const Outcome same = train("same", "--ranks 2 --device cuda:1");
  EXPECT_EQ(same.code, 2);
  EXPECT_THAT(same.err, HasSubstr("--device cuda:1 is one GPU, and each of several ranks has its "
                                  "own: --device cuda"));
  EXPECT_FALSE(std::filesystem::exists(out("same")));
}

class TaskOnGpus
    : public RunTest,
      public ::testing::WithParamInterface<std::string (*)(const std::string& device)> {
 protected:
  TaskOnGpus() : RunTest(GetParam()("cuda")) {}
  void SetUp() override { setenv("INVP_EMULATED_GPUS", "2", 1); }
  void TearDown() override { unsetenv("INVP_EMULATED_GPUS"); }
};

TEST_P(TaskOnGpus, EndsInTheBytesOfOneGpu) {
  const Outcome one = train("one");
  ASSERT_EQ(one.code, 0) << one.err;
  const Outcome two = train("two", "--ranks 2");
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_TRUE(read_all(last("two")) == read_all(last("one")));
  EXPECT_EQ(nlohmann::json::parse(two.last_line())["ranks"], 2);
}

INSTANTIATE_TEST_SUITE_P(Commands, TaskOnGpus, ::testing::Values(&linear, &finetune, &detection));

}  // namespace
}  // namespace invp::testing
