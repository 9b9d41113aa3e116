// Checkpoints written by commit 184b89b, before there was one format for all runs: they are loaded
// whole, go on to the end, and are refused by other runs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>
#include <string>

#include "engine/files/safetensors.h"
#include "tests/tools/run_test.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

std::string file_of(const std::string& name) {
  return golden("checkpoints/version-1-" + name + ".safetensors").string();
}

constexpr const char* kCommon =
    " --format synthetic --synthetic-train 40 --synthetic-val 12 --synthetic-size 16 "
    "--synthetic-classes 4 --image-size 16 --epochs 3 --batch-size 10 --seed 3 --threads 1 "
    "--workers 1 --json ";

struct Command {
  std::string name;
  std::string options;
  std::string other;  ///< an option that differs
  std::string told;   ///< of it
};

void PrintTo(const Command& command, std::ostream* out) {
  *out << command.name;
}

class Version1 : public RunTest, public ::testing::WithParamInterface<Command> {
 protected:
  Version1() : RunTest(GetParam().name + kCommon + GetParam().options) {}
  static std::string resume() { return " --resume " + shell_word(file_of(GetParam().name)); }
};

INSTANTIATE_TEST_SUITE_P(
    Commands, Version1,
    ::testing::Values(
        Command{.name = "pretrain",
                .options = "--arch resnet18-cifar --width 2 --dim 8 --augment cifar "
                           "--background 16 --hard-positives 4 --warm-epochs 1 --knn-k 5",
                .other = "--gray-prob 0.3",
                .told = "gray 0.2"},
        Command{.name = "linear",
                .options = "--augment linear-cifar --taps 1,9 --milestones 2 --lr 1 --checkpoint " +
                           shell_word(file_of("pretrain-end")),
                .other = "--taps 1,8",
                .told = "1,9"},
        Command{.name = "finetune",
                .options = "--from-scratch --arch resnet18-cifar --width 2 --milestones 2",
                .other = "--fc-lr 0.1",
                .told = "fc-lr 0.005"}),
    [](const auto& command) { return command.param.name; });

TEST_P(Version1, EveryTensorAndTheSumsOfTheEpochAreTakenOver) {
  // Six steps were taken: the run stops before the next, and writes what it loaded.
  const Outcome stopped = train("loaded", "--stop-after 6" + resume());
  ASSERT_EQ(stopped.code, 0) << stopped.err;
  const TensorFile before = read_safetensors(file_of(GetParam().name));
  const TensorFile after = read_safetensors(last("loaded"));
  ASSERT_EQ(after.tensors.size(), before.tensors.size());
  for (const auto& [name, tensor] : before.tensors) {
    const Tensor* const now = after.find(name);
    ASSERT_NE(now, nullptr) << name;
    ASSERT_EQ(now->shape(), tensor.shape()) << name;
    EXPECT_EQ(std::memcmp(now->raw(), tensor.raw(), tensor.nbytes()), 0) << name;
  }
  for (const char* key : {"position.epoch", "position.step", "position.global_step",
                          "position.images", "position.seconds"}) {
    EXPECT_EQ(after.metadata.at(key), before.metadata.at(key)) << key;
  }
  const bool pretrain = GetParam().name == "pretrain";
  EXPECT_EQ(after.metadata.at("position.sum.loss"),
            before.metadata.at(pretrain ? "position.loss_sum" : "position.sum.loss"));
  const std::string best = pretrain ? "knn_top1" : "top1";
  EXPECT_EQ(after.metadata.at("position.best." + best),
            before.metadata.at(pretrain ? "position.best_knn_top1" : "position.best.top1"));
  EXPECT_EQ(after.metadata.at("kind"), "invp-checkpoint-2");
}

TEST_P(Version1, GoesOnToTheEndAndFromThereInTodaysFormat) {
  const Outcome end = train("on", resume());
  ASSERT_EQ(end.code, 0) << end.err;
  EXPECT_EQ(nlohmann::json::parse(end.last_line()).at("epoch"), 3);
  // Stopped once more in between, it ends in the same bytes.
  ASSERT_EQ(train("parts", "--stop-after 9" + resume()).code, 0);
  const Outcome again = train("parts", "--resume auto");
  ASSERT_EQ(again.code, 0) << again.err;
  EXPECT_TRUE(read_all(last("parts")) == read_all(last("on")));
}

TEST_P(Version1, AnotherRunIsRefused) {
  for (const std::string& other : {std::string("--lr 0.7"), GetParam().other}) {
    const Outcome refused = train("other", other + resume());
    EXPECT_EQ(refused.code, 1) << other;
    EXPECT_THAT(refused.err, HasSubstr("was trained with")) << other;
    EXPECT_FALSE(std::filesystem::exists(out("other"))) << other;
    if (other == GetParam().other) {
      EXPECT_THAT(refused.err, HasSubstr(GetParam().told));
    }
  }
  const std::string wrong = GetParam().name == "pretrain" ? "finetune" : "pretrain";
  const Outcome refused = train("wrong", "--resume " + shell_word(file_of(wrong)));
  EXPECT_EQ(refused.code, 1);
  EXPECT_THAT(refused.err, HasSubstr("not a checkpoint of invp " + GetParam().name));
}

}  // namespace
}  // namespace invp::testing
