// Steps whose batch norms share statistics: over the ranks that share a group, and over groups.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "tests/ranks/trainer_steps.h"

namespace invp::testing {
namespace {

const NetworkConfig kSmall{.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8};
/// Of a loss, what another order of adding may change (the sixth promise of docs/design/ranks.md).
constexpr double kRounding = 1e-5;

BatchPart whole(int groups) {
  return {.groups = groups, .first = 0, .count = groups};
}

TrainerConfig config_with(const NetworkConfig& network, int groups, NormSharing norms) {
  TrainerConfig config = config_of(network, groups);
  config.norms = norms;
  return config;
}

void expect_close_losses(const StepLosses& got, const StepLosses& want) {
  ASSERT_EQ(got.losses.size(), want.losses.size());
  for (std::size_t i = 0; i < got.losses.size(); ++i)
    EXPECT_NEAR(got.losses[i], want.losses[i], kRounding * std::abs(want.losses.front()));
}

/// Each tensor within a share of its largest value. Of gradients, which the momentum is the sum of,
/// rounding may change a hundredth: a value on the other side of a relu's kink.
void expect_close_state(Trainer& got, Trainer& want) {
  const std::vector<NamedTensor> a = state_of(got, true);
  const std::vector<NamedTensor> b = state_of(want, true);
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i].name == "graph") continue;
    const double share = a[i].name.starts_with("momentum.") ? 0.02 : 1e-4;
    const Values x = values_of(a[i].tensor), y = values_of(b[i].tensor);
    double worst = 0, largest = 0;
    for (std::size_t k = 0; k < x.size(); ++k) {
      worst = std::max(worst, std::abs(x[k] - y[k]));
      largest = std::max(largest, std::abs(y[k]));
    }
    EXPECT_LE(worst, share * largest) << a[i].name;
  }
}

/// All ranks have the same to the bit, the running statistics too.
void expect_ranks_agree(Communicator& ranks, Trainer& trainer) {
  for (const NamedTensor& item : state_of(trainer, true)) {
    SCOPED_TRACE(item.name);
    const Tensor first = item.tensor.detach().clone();
    ranks.broadcast("state", first, 0);
    expect_identical(item.tensor.detach(), first);
  }
}

/// Steps that move nothing but bank, momentum and running statistics: rounding does not grow.
void expect_steps_of_one_rank(int groups, NormSharing norms) {
  const auto ranks = join();
  Trainer shared(config_with(kSmall, groups, norms), kImages, ranks);
  Trainer alone(config_with(kSmall, groups, norms), kImages);
  const BatchPart part = share_of_rank(groups, ranks->ranks());
  for (std::size_t step = 0; step < steps().size(); ++step) {
    SCOPED_TRACE(step);
    const int epoch = 1 + static_cast<int>(step / 3);
    const StepLosses got = shared.step(batch_of(step, part), epoch, 0.0);
    expect_close_losses(got, alone.step(batch_of(step, whole(groups)), epoch, 0.0));
  }
  EXPECT_EQ(shared.network().batches_tracked(), alone.network().batches_tracked());
  if (groups == 1 || norms != NormSharing::kLocal) expect_ranks_agree(*ranks, shared);
  if (ranks->ranks().rank == 0) expect_close_state(shared, alone);
}

// One group over all ranks against the step without groups: short batches, missing images, ranks
// without an image.
RANKS_TEST(SharedNorms, AGroupOverAllRanksIsThatOfOneRank, 2, 3, 4) {
  expect_steps_of_one_rank(1, NormSharing::kLocal);
}
RANKS_TEST(SharedNorms, AGroupOverAllRanksLearnsAsOneRank, 2, 4) {
  const auto ranks = join();
  Trainer shared(config_of(kSmall, 1), kImages, ranks);
  Trainer alone(config_of(kSmall, 1), kImages);
  const BatchPart part = share_of_rank(1, ranks->ranks());
  for (std::size_t step = 0; step < 7; ++step) {
    SCOPED_TRACE(step);
    const int epoch = 1 + static_cast<int>(step / 3);
    const StepLosses got = shared.step(batch_of(step, part), epoch, 0.1);
    expect_close_losses(got, alone.step(batch_of(step, whole(1)), epoch, 0.1));
  }
  expect_ranks_agree(*ranks, shared);
}
// Groups of two ranks each; of a short batch a group may be empty.
RANKS_TEST(SharedNorms, GroupsOfSeveralRanksAreThoseOfOneRank, 4) {
  expect_steps_of_one_rank(2, NormSharing::kLocal);
}
RANKS_TEST(SharedNorms, AllGroupsOverRanksAreThoseOfOneRank, 4) {
  expect_steps_of_one_rank(2, NormSharing::kSync);
  expect_steps_of_one_rank(2, NormSharing::kNaive);
}

// Groups that share statistics, whoever computes which of them.
RANKS_TEST(SharedNorms, WholeGroupsEndInTheBitsOfOneRank, 2, 4) {
  const auto ranks = join();
  for (const NormSharing norms : {NormSharing::kSync, NormSharing::kNaive}) {
    for (const HeadKind head : {HeadKind::kLinear, HeadKind::kMlp}) {
      NetworkConfig network = kSmall;
      network.head = head;
      Trainer shared(config_with(network, 4, norms), kImages, ranks);
      Trainer alone(config_with(network, 4, norms), kImages);
      expect_same_steps(shared, alone, 4, true);
    }
  }
}

// Of groups of equal size both forms have the mean of the whole batch.
RANKS_TEST(SharedNorms, SyncOverGroupsIsOneGroup, 2) {
  const auto ranks = join();
  Trainer shared(config_with(kSmall, 4, NormSharing::kSync), kImages, ranks);
  Trainer one(config_with(kSmall, 1, NormSharing::kLocal), kImages);
  const BatchPart part = share_of_rank(4, ranks->ranks());
  for (std::size_t step = 0; step < steps().size(); ++step) {
    SCOPED_TRACE(step);
    const StepLosses got = shared.step(batch_of(step, part), 1, 0.0);
    expect_close_losses(got, one.step(batch_of(step, whole(1)), 1, 0.0));
  }
  expect_close_state(shared, one);
}

// What is kept or computed again decides no bit, and no exchange.
RANKS_TEST(SharedNorms, RecomputedBlocksEndInTheSameBits, 2) {
  const auto ranks = join();
  NetworkConfig network{.arch = Arch::kResNet50Cifar, .width = 2, .dim = 8};
  Trainer kept(config_of(network, 1), kImages, ranks);
  network.recompute = Recompute::kBlocks;
  Trainer recomputed(config_of(network, 1), kImages, ranks);
  const BatchPart part = share_of_rank(1, ranks->ranks());
  for (std::size_t step = 0; step < steps().size(); ++step) {
    const StepLosses got = recomputed.step(batch_of(step, part), 1, 1.0);
    EXPECT_EQ(got.losses, kept.step(batch_of(step, part), 1, 1.0).losses);
  }
  expect_same_state(recomputed, kept, true);
}

RANKS_TEST(SharedNorms, BFloat16TrainsOnARankWithoutImages, 4) {
  const auto ranks = join();
  TrainerConfig config = config_of(kSmall, 1);
  config.compute_type = DType::kBF16;
  Trainer shared(config, kImages, ranks);
  Trainer alone(config, kImages);
  const BatchPart part = share_of_rank(1, ranks->ranks());
  // Weights that were moved differ by roundings of bf16.
  for (const std::size_t step : {7UL, 0UL, 5UL, 7UL}) {
    const double got = shared.step(batch_of(step, part), 1, 0.0).losses.front();
    const double want = alone.step(batch_of(step, whole(1)), 1, 0.0).losses.front();
    EXPECT_NEAR(got, want, 0.02 * want) << step;
  }
  for (std::size_t step = 0; step < steps().size(); ++step)
    shared.step(batch_of(step, part), 1, 1.0);
  expect_ranks_agree(*ranks, shared);
}

RANKS_TEST(SharedNorms, FillTheBankAndCenterTheHeadAsOneRank, 4) {
  const auto ranks = join();
  for (const NormSharing norms : {NormSharing::kLocal, NormSharing::kNaive}) {
    const TrainerConfig config = config_with(kSmall, 2, norms);
    Trainer shared(config, kImages, ranks);
    Trainer alone(config, kImages);
    const BatchPart part = share_of_rank(2, ranks->ranks());
    for (const std::size_t step : {2UL, 5UL, 7UL}) {
      shared.center_head(batch_of(step, part));
      alone.center_head(batch_of(step, whole(2)));
      shared.fill_bank(batch_of(step, part));
      alone.fill_bank(batch_of(step, whole(2)));
    }
    const Values got = values_of(shared.bank().rows()), want = values_of(alone.bank().rows());
    for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], want[i], 1e-5);
  }
}

// NaN in one rank's piece of the batch: all ranks refuse the step.
RANKS_TEST(SharedNorms, RefuseALossThatIsNotFiniteTogether, 4) {
  const auto ranks = join();
  Trainer shared(config_of(kSmall, 1), kImages, ranks);
  const BatchPart part = share_of_rank(1, ranks->ranks());
  shared.step(batch_of(0, part), 1, 1.0);
  std::vector<Tensor> before;
  for (const NamedTensor& item : state_of(shared, false))
    before.push_back(item.tensor.detach().clone());
  Batch broken = batch_of(1, part);
  if (ranks->ranks().rank == 2)
    broken.images.data<float>()[9] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(shared.step(broken, 1, 1.0), NotFinite);
  for (std::size_t i = 0; i < before.size(); ++i)
    expect_identical(state_of(shared, false)[i].tensor.detach(), before[i]);
}

// The last map of 8 pixels is one; one image is then one value per channel.
TEST(SharedNorms, OneValueIsRefused) {
  Trainer trainer(config_with(kSmall, 2, NormSharing::kSync), kImages);
  const Batch batch{.images = Tensor::zeros({1, 8, 8, 3}), .indices = {3}};
  try {
    trainer.step(batch, 1, 1.0);
    ADD_FAILURE() << "one value was normalized";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("one image alone"), std::string::npos) << error.what();
  }
}

TEST(RanksAndGroups, AreShared) {
  const BatchPart piece = share_of_rank(2, {.rank = 4, .size = 6});
  EXPECT_EQ(piece.first, 1);
  EXPECT_EQ(piece.piece, 1);
  EXPECT_EQ(piece.pieces, 3);
  // Groups of ten images are 5 and 5; three pieces of five are 2, 2 and 1.
  EXPECT_EQ(piece.rows(10), (RowRange{7, 9}));
  EXPECT_EQ(share_of_rank(2, {.rank = 5, .size = 6}).rows(10), (RowRange{9, 10}));
  EXPECT_EQ(share_of_rank(6, {.rank = 1, .size = 2}).rows(12), (RowRange{6, 12}));
  for (const int groups : {4, 5, 7}) {
    try {
      share_of_rank(groups, {.rank = 0, .size = 6});
      ADD_FAILURE() << groups << " groups for 6 ranks";
    } catch (const Error& error) {
      const std::string way_out = groups < 6 ? "--bn-groups 6" : "--bn-groups 12";
      EXPECT_NE(std::string(error.what()).find(way_out), std::string::npos) << error.what();
    }
  }
}

}  // namespace
}  // namespace invp::testing
