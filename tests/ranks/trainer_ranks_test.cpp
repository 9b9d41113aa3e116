// Steps on several ranks end in the bits of the same steps on one.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/ranks/trainer_steps.h"

namespace invp::testing {
namespace {

/// Each kind of network; 4 groups, or 6 where 3 ranks share them.
void expect_bits_of_one_rank(const NetworkConfig& network) {
  const auto ranks = join();
  const int groups = ranks->ranks().size == 3 ? 6 : 4;
  Trainer shared(config_of(network, groups), kImages, ranks);
  Trainer alone(config_of(network, groups), kImages);
  const BatchPart part = share_of_rank(groups, ranks->ranks());
  const BatchPart whole{.groups = groups, .first = 0, .count = groups};
  for (std::size_t step = 0; step < steps().size(); ++step) {
    SCOPED_TRACE(step);
    const int epoch = 1 + static_cast<int>(step / 3);
    const StepLosses got = shared.step(batch_of(step, part), epoch, 1.0);
    const StepLosses want = alone.step(batch_of(step, whole), epoch, 1.0);
    EXPECT_EQ(got.losses, want.losses);
    EXPECT_EQ(got.output_sum, want.output_sum);
  }
  expect_same_state(shared, alone, ranks->ranks().rank == 0);
  EXPECT_EQ(shared.network().batches_tracked(), std::ssize(steps()));
}

RANKS_TEST(TrainerRanks, ResNet18CifarEndsInTheBitsOfOneRank, 2, 3, 4) {
  expect_bits_of_one_rank({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8});
}
RANKS_TEST(TrainerRanks, ResNet18WithAnMlpEndsInTheBitsOfOneRank, 4) {
  expect_bits_of_one_rank(
      {.arch = Arch::kResNet18Cifar, .width = 4, .head = HeadKind::kMlp, .dim = 8});
}
RANKS_TEST(TrainerRanks, ResNet50EndsInTheBitsOfOneRank, 2, 4) {
  expect_bits_of_one_rank({.arch = Arch::kResNet50Cifar, .width = 2, .dim = 8});
}

RANKS_TEST(TrainerRanks, FillTheBankAndCenterTheHeadAsOneRank, 4) {
  const auto ranks = join();
  const TrainerConfig config = config_of({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, 4);
  Trainer shared(config, kImages, ranks);
  Trainer alone(config, kImages);
  for (const std::size_t step : {2UL, 5UL}) {
    const Batch mine = batch_of(step, share_of_rank(4, ranks->ranks()));
    const Batch whole = batch_of(step, {.groups = 4, .first = 0, .count = 4});
    shared.center_head(mine);
    alone.center_head(whole);
    shared.fill_bank(mine);
    alone.fill_bank(whole);
  }
  expect_identical(shared.bank().rows(), alone.bank().rows());
  expect_identical(shared.network().head().last().bias().detach(),
                   alone.network().head().last().bias().detach());
}

// NaN in one rank's share: all ranks refuse the same step, and go on together.
RANKS_TEST(TrainerRanks, RefuseALossThatIsNotFiniteTogether, 4) {
  const auto ranks = join();
  const TrainerConfig config = config_of({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, 4);
  Trainer shared(config, kImages, ranks);
  Trainer alone(config, kImages);
  const BatchPart part = share_of_rank(4, ranks->ranks());
  const BatchPart whole{.groups = 4, .first = 0, .count = 4};
  shared.step(batch_of(0, part), 1, 1.0);
  alone.step(batch_of(0, whole), 1, 1.0);
  Batch broken = batch_of(1, part);
  if (ranks->ranks().rank == 2) {
    broken.images = broken.images.clone();
    broken.images.data<float>()[9] = std::numeric_limits<float>::quiet_NaN();
  }
  EXPECT_THROW(shared.step(broken, 1, 1.0), NotFinite);
  // Rank 0's running statistics saw no NaN.
  EXPECT_EQ(alone.step(batch_of(3, whole), 1, 1.0).losses,
            shared.step(batch_of(3, part), 1, 1.0).losses);
}

}  // namespace
}  // namespace invp::testing
