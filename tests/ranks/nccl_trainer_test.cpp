// Steps on several GPUs end in the bits of the same steps on one: called, captured and replayed.
#include <gtest/gtest.h>

#include "engine/plans/plan_file.h"
#include "invp/run/share_plans.h"
#include "tests/emulator/emulator.h"
#include "tests/ranks/join_gpus.h"
#include "tests/ranks/trainer_steps.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

constexpr Seconds kLong{400};  // of ten steps on an emulated GPU

void expect_bits_of_one_gpu(const NetworkConfig& network, NormSharing norms = NormSharing::kLocal) {
  set_num_threads(1);
  const auto ranks = join_gpus(kLong);
  TrainerConfig config = config_of(network, 4);
  config.norms = norms;
  config.device = gpu_of_rank();
  Trainer shared(config, kImages, ranks);
  Trainer alone(config, kImages);
  expect_same_steps(shared, alone, 4);
  // Of the five whole batches the last two are replayed; the short ones are not.
  EXPECT_EQ(shared.why_not_captured(), "");
  EXPECT_EQ(emulator::contexts(), 1);
}

/// On 2 and 4 ranks, and with the order of NCCL's own sums and of the GPU's threads reversed.
void on_gpus(const std::vector<int>& numbers) {
  if (const std::string why = why_no_ranks(); !why.empty()) GTEST_SKIP() << why;
  for (const int ranks : numbers) expect_ranks(ranks, kLong);
  const RanksOutcome reversed = run_ranks(
      2, this_test(), kLong, {"INVP_EMULATOR_ORDER=reverse", "INVP_EMULATED_NCCL=order=reverse"});
  EXPECT_EQ(reversed.code, 0) << reversed.output[0] << reversed.output[1];
}

TEST(NcclTrainer, ResNet18CifarEndsInTheBitsOfOneGpu) {
  if (!is_rank()) return on_gpus({2, 4});
  expect_bits_of_one_gpu({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8});
}
TEST(NcclTrainer, ResNet50WithAnMlpEndsInTheBitsOfOneGpu) {
  if (!is_rank()) return on_gpus({2});
  expect_bits_of_one_gpu(
      {.arch = Arch::kResNet50Cifar, .width = 2, .head = HeadKind::kMlp, .dim = 8});
}

// Norms exchange statistics inside of the captured step.
TEST(NcclTrainer, NormsThatSeeAllGroupsEndInTheBitsOfOneGpu) {
  if (!is_rank()) return on_gpus({2});
  expect_bits_of_one_gpu({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, NormSharing::kSync);
}

// Each rank with a file of its own: all compute by what rank 0's hold, and only rank 0's is
// written.
RANKS_TEST(NcclTrainer, RanksTakeThePlansOfRank0, 2) {
  const auto ranks = join_gpus(Seconds(20));
  const TempFolder folder;
  const std::string rank = std::to_string(ranks->ranks().rank);
  const auto plans_of = [](const std::string& plan) {
    return R"({"format": 1, "places": {"here": {"problem": {"plan": ")" + plan + R"("}}}})";
  };
  const auto run = folder.path() / "run.json";
  const auto user = folder.path() / "user.json";
  std::ofstream(run) << plans_of("run " + rank);
  std::ofstream(user) << plans_of("user " + rank);
  setenv("INVP_PLAN_CACHE", user.c_str(), 1);
  share_plans(*ranks, run);
  const GivenPlans& given = given_plans();
  EXPECT_TRUE(given.given);
  EXPECT_EQ(PlanFile::given(given.of_run, "here").find("problem")->plan, "run 0");
  EXPECT_EQ(PlanFile::given(given.of_user, "here").find("problem")->plan, "user 0");
  EXPECT_EQ(run_plan_file(), rank == "0" ? run : std::filesystem::path());
  PlanFile own = PlanFile::given(given.of_run, "here");
  own.record("another", {.plan = "fast"});
  EXPECT_EQ(own.find("another")->plan, "fast");
  EXPECT_EQ(plan_text(run), plans_of("run " + rank));
}

}  // namespace
}  // namespace invp::testing
