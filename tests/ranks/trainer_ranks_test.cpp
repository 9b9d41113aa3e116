// Steps on several ranks end in the bits of the same steps on one.
#include <gtest/gtest.h>

#include <limits>
#include <string>

#include "tests/ranks/trainer_steps.h"

namespace invp::testing {
namespace {

/// Each kind of network; 4 groups, or 6 where 3 ranks share them.
void expect_bits_of_one_rank(const NetworkConfig& network, bool spread = false,
                             DType wire = DType::kF32) {
  const auto ranks = join();
  const int groups = ranks->ranks().size == 3 ? 6 : 4;
  TrainerConfig config = config_of(network, groups);
  config.spread_bank = spread;
  config.wire = wire;
  Trainer shared(config, kImages, ranks);
  Trainer alone(config, kImages);
  expect_same_steps(shared, alone, groups);
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

// Each rank keeps a part of the bank: the same bits for any number of them.
RANKS_TEST(TrainerRanks, ASpreadBankEndsInTheBitsOfOneRank, 2, 3, 4) {
  expect_bits_of_one_rank({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, true);
}

// 16 bits between ranks: each sum of two groups is rounded, wherever it is added.
RANKS_TEST(TrainerRanks, GradientsIn16BitsEndInTheBitsOfOneRank, 2, 3, 4) {
  expect_bits_of_one_rank({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, false,
                          DType::kBF16);
}

// Beside a bank that is on every rank: the same neighbors and losses, and gradients but for their
// last bits, of which the weights learn.
RANKS_TEST(TrainerRanks, ASpreadBankComputesWhatAWholeOneDoes, 1, 2) {
  const auto ranks = join();
  TrainerConfig config = config_of({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, 4);
  Trainer whole(config, kImages, ranks);
  config.spread_bank = true;
  Trainer spread(config, kImages, ranks);
  EXPECT_EQ(spread.bank().nbytes() * ranks->ranks().size, whole.bank().nbytes());
  const BatchPart part = share_of_rank(4, ranks->ranks());
  for (const std::size_t step : {0UL, 1UL, 2UL}) {
    const StepLosses got = spread.step(batch_of(step, part), 2, 1.0);
    const StepLosses want = whole.step(batch_of(step, part), 2, 1.0);
    if (step == 0) {
      EXPECT_EQ(got.losses, want.losses);
      expect_identical(spread.graph().rows(), whole.graph().rows());
    }
    EXPECT_NEAR(got.losses.back(), want.losses.back(), 1e-4);
  }
  const std::vector<NamedTensor> weights = whole.network().parameters();
  for (std::size_t i = 0; i < weights.size(); ++i)
    expect_close(spread.network().parameters()[i].tensor.detach(),
                 values_of(weights[i].tensor.detach()), 1000);
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
void expect_refused_together(bool spread) {
  const auto ranks = join();
  TrainerConfig config = config_of({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, 4);
  config.spread_bank = spread;
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
RANKS_TEST(TrainerRanks, RefuseALossThatIsNotFiniteTogether, 4) {
  expect_refused_together(false);
}
RANKS_TEST(TrainerRanks, RefuseItWithASpreadBankToo, 4) {
  expect_refused_together(true);
}

}  // namespace
}  // namespace invp::testing
