// Steps on several ranks end in the bits of the same steps on one.
#include <gtest/gtest.h>

#include <limits>
#include <numeric>

#include "engine/comm/comm_mpi.h"
#include "engine/comm/gather.h"
#include "engine/core/parallel.h"
#include "invp/method/trainer.h"
#include "invp/run/run_ranks.h"
#include "tests/ranks/run_ranks.h"
#include "tests/support/close.h"
#include "tests/support/values.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kImages = 24;
constexpr std::int64_t kBatch = 8;
constexpr int kSize = 16;

std::shared_ptr<Communicator> join() {
  set_num_threads(1);
  return join_mpi(deadline_watch(start_mpi(), Seconds(60)));
}

TrainerConfig config_of(const NetworkConfig& network, int groups) {
  TrainerConfig config{.network = network, .seed = 5, .groups = groups};
  config.objective.background = 16;
  config.objective.hard_positives = 4;
  config.objective.warm_epochs = 1;
  return config;
}

struct Planned {
  std::int64_t images;
  std::vector<std::int64_t> missing = {};  ///< places of images that cannot be read
};

/// Short batches, images that cannot be read, a rank without any image.
const std::vector<Planned>& steps() {
  static const std::vector<Planned> all = {{kBatch}, {kBatch},      {5},
                                           {kBatch}, {kBatch, {3}}, {kBatch, {0, 1}},
                                           {kBatch}, {1},           {kBatch, {4, 5, 6, 7}},
                                           {kBatch}};
  return all;
}

/// The part of a step's batch that a rank makes.
Batch batch_of(std::size_t step, const BatchPart& part) {
  const Planned& planned = steps()[step];
  const Shape shape{planned.images, kSize, kSize, 3};
  const Tensor images = tensor(random_values(100 + step, shape.numel()), shape);
  const RowRange rows = part.rows(planned.images);
  Batch batch;
  batch.planned = planned.images;
  batch.total = planned.images - std::ssize(planned.missing);
  batch.images = Tensor::empty({rows.count(), kSize, kSize, 3});
  for (std::int64_t row = rows.first; row < rows.last; ++row) {
    if (std::ranges::find(planned.missing, row) != planned.missing.end()) continue;
    const auto kept = std::ssize(batch.indices);
    batch.images.slice(kept, kept + 1).copy_from(images.slice(row, row + 1));
    batch.places.push_back(row);
    batch.indices.push_back((static_cast<std::int64_t>(step) * 5 + row) % kImages);
  }
  batch.images = batch.images.slice(0, std::ssize(batch.indices));
  return batch;
}

/// What all ranks have alike; and the running statistics, which are rank 0's.
std::vector<NamedTensor> state_of(Trainer& trainer, bool statistics) {
  std::vector<NamedTensor> state = trainer.network().parameters();
  if (statistics) {
    for (const NamedTensor& item : trainer.network().buffers()) state.push_back(item);
  }
  for (const SgdParameter& item : trainer.optimizer().state())
    state.push_back({"momentum." + item.name, item.tensor});
  state.push_back({"bank", trainer.bank().rows()});
  state.push_back({"graph", trainer.graph().rows()});
  return state;
}

void expect_same_state(Trainer& got, Trainer& want, bool statistics) {
  const std::vector<NamedTensor> a = state_of(got, statistics);
  std::vector<NamedTensor> b = state_of(want, statistics);
  if (const SpreadRows* const spread = got.spread_rows(); spread != nullptr)
    std::ranges::find(b, "bank", &NamedTensor::name)->tensor = spread->own_of(want.bank().rows());
  ASSERT_EQ(a.size(), b.size());
  for (std::size_t i = 0; i < a.size(); ++i) {
    SCOPED_TRACE(a[i].name);
    expect_identical(a[i].tensor.detach(), b[i].tensor.detach());
  }
}

/// Each kind of network; 4 groups, or 6 where 3 ranks share them.
void expect_bits_of_one_rank(const NetworkConfig& network, bool spread = false) {
  const auto ranks = join();
  const int groups = ranks->ranks().size == 3 ? 6 : 4;
  TrainerConfig config = config_of(network, groups);
  config.spread_bank = spread;
  Trainer shared(config, kImages, ranks);
  Trainer alone(config, kImages);
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

// Each rank keeps a part of the bank: the same bits for any number of them.
RANKS_TEST(TrainerRanks, ASpreadBankEndsInTheBitsOfOneRank, 2, 3, 4) {
  expect_bits_of_one_rank({.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8}, true);
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

RANKS_TEST(TrainerRanks, WhoseGroupsCannotBeSharedAreRefused, 3) {
  const auto ranks = join();
  try {
    share_of_rank(4, ranks->ranks());
    ADD_FAILURE() << "4 groups for 3 ranks";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("--bn-groups 6"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace invp::testing
