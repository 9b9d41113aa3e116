// A step in groups of batch norm against the same written out: forward and backward passes of one
// group after another, gradients added in a tree, SGD, bank, graph; and the runs that use it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <map>
#include <numeric>

#include "engine/autograd/accumulate.h"
#include "engine/autograd/node.h"
#include "engine/core/numerics.h"
#include "engine/ops/basic/l2_normalize.h"
#include "invp/method/trainer.h"
#include "tests/invp/method/trainer_state.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/values.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kImages = 24;
constexpr int kSize = 16;

TrainerConfig config_of(int groups, Device device) {
  TrainerConfig config{.network = {.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8},
                       .seed = 5,
                       .groups = groups,
                       .device = device};
  config.objective.background = 16;
  config.objective.hard_positives = 4;
  config.objective.warm_epochs = 0;
  return config;
}

Batch batch_of(std::int64_t step, std::int64_t images) {
  const Shape shape{images, kSize, kSize, 3};
  Batch batch{
      .images = tensor(random_values(100 + static_cast<std::uint64_t>(step), shape.numel()), shape),
      .indices = std::vector<std::int64_t>(static_cast<std::size_t>(images))};
  std::iota(batch.indices.begin(), batch.indices.end(), step * images % (kImages - images + 1));
  return batch;
}

/// Neighbors at distance 1 are added, then 2, 4, ...; an odd one waits.
Tensor tree(std::vector<Tensor> terms) {
  for (std::size_t distance = 1; distance < terms.size(); distance *= 2) {
    for (std::size_t i = 0; i + distance < terms.size(); i += 2 * distance)
      accumulate(terms[i], terms[i + distance]);
  }
  return terms.front();
}

struct Written {
  explicit Written(const TrainerConfig& config)
      : trainer(
            [&] {
              TrainerConfig plain = config;
              plain.groups = 1;
              return plain;
            }(),
            kImages),
        objective_config(config.objective) {}

  /// Rows of each group; a group may be empty.
  void step(const Batch& batch, const std::vector<RowRange>& groups, int epoch) {
    ResNet& network = trainer.network();
    network.train(true);
    const auto images = static_cast<float>(batch.indices.size());
    const float weight = static_cast<float>(objective_config.invariance_weight(epoch));
    std::map<std::string, std::vector<Tensor>> gradients;
    std::vector<Tensor> statistics;
    std::vector<ObjectiveStep> found;
    for (std::size_t g = 0; g < groups.size(); ++g) {
      const auto [first, last] = groups[g];
      trainer.optimizer().zero_grad();
      if (first < last) {
        const Tensor v = l2_normalize(network.forward(batch.images.slice(first, last)));
        const std::span indices =
            std::span(batch.indices)
                .subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(last - first));
        found.push_back(
            objective(v, indices, trainer.bank(), trainer.graph(), objective_config, weight));
        const float share = static_cast<float>(last - first) / images;
        backward(found.back().loss, Tensor::full({}, share));
      }
      for (const NamedTensor& item : network.parameters()) {
        gradients[item.name].push_back(item.tensor.grad().defined()
                                           ? item.tensor.grad().clone()
                                           : Tensor::zeros(item.tensor.shape()));
      }
      if (g > 0) continue;
      for (const NamedTensor& item : network.buffers()) statistics.push_back(item.tensor.clone());
    }
    for (const NamedTensor& item : network.parameters())
      item.tensor.set_grad(tree(gradients[item.name]));
    for (std::size_t i = 0; i < statistics.size(); ++i)
      network.buffers()[i].tensor.copy_from(statistics[i]);
    trainer.optimizer().step();
    trainer.optimizer().zero_grad();
    for (const ObjectiveStep& of_group : found)
      update(of_group, objective_config, trainer.bank(), trainer.graph());
  }

  Trainer trainer;
  ObjectiveConfig objective_config;
};

// One group is the step without groups.
TEST(TrainerGroups, AreTheWrittenOutStepToTheBit) {
  for (const int groups : {1, 3, 4, 6}) {
    SCOPED_TRACE(groups);
    Trainer trainer(config_of(groups, kCpu), kImages);
    Written written(config_of(groups, kCpu));
    for (const std::int64_t images : {8, 8, 5, 8}) {  // the short one: 2, 2 and 1 of 3 groups
      const std::int64_t step = trainer.network().batches_tracked();
      const Batch batch = batch_of(step, images);
      trainer.step(batch, 1, 1.0);
      written.step(batch, batch.rows({.groups = groups, .first = 0, .count = groups}), 1);
      EXPECT_EQ(trainer.network().batches_tracked(), step + 1);
    }
    written.trainer.network().set_batches_tracked(4);
    expect_same_state(trainer, written.trainer);
  }
}

// Row 1 of group 0 is missing, all of group 1, and nothing of group 2.
TEST(TrainerGroups, MissTheImagesThatCannotBeRead) {
  Trainer trainer(config_of(3, kCpu), kImages);
  Written written(config_of(3, kCpu));
  Batch batch = batch_of(0, 5);
  batch.planned = 9;
  batch.places = {0, 2, 6, 7, 8};
  trainer.step(batch, 1, 1.0);
  written.step(batch, {{0, 2}, {2, 2}, {2, 5}}, 1);
  expect_same_state(trainer, written.trainer);
}

TEST(TrainerGroups, AnEmptyFirstGroupLeavesTheRunningStatistics) {
  Trainer trainer(config_of(2, kCpu), kImages);
  std::vector<Tensor> before;
  for (const NamedTensor& item : trainer.network().buffers()) before.push_back(item.tensor.clone());
  Batch batch = batch_of(0, 4);
  batch.planned = 8;
  batch.places = {4, 5, 6, 7};
  const StepLosses losses = trainer.step(batch, 1, 1.0);
  for (std::size_t i = 0; i < before.size(); ++i)
    expect_identical(trainer.network().buffers()[i].tensor, before[i]);
  // The loss is that of the other group alone.
  Trainer alone(config_of(1, kCpu), kImages);
  EXPECT_EQ(alone.step(batch_of(0, 4), 1, 1.0).losses, losses.losses);
}

class GroupsOnDevice : public DeviceTest {
 protected:
  void SetUp() override {
    DeviceTest::SetUp();
    set_numerics({.deterministic = true});
  }
};
RUN_ON_EACH_DEVICE(GroupsOnDevice);

TEST_P(GroupsOnDevice, MeanOfTheGroupsLossesIsTheBatchs) {
  // Norms aside the groups' images are those of the batch: of one step from the same weights the
  // instance loss against the same bank differs only by what the norms see.
  Trainer trainer(config_of(2, device()), kImages);
  const Batch batch = batch_of(0, 8);
  const double mean = trainer.step(batch, 1, 1.0).losses[0];
  double sum = 0;
  for (const std::int64_t first : {0, 4}) {
    Trainer alone(config_of(1, device()), kImages);
    const Batch half{.images = batch.images.slice(first, first + 4),
                     .indices = {batch.indices.begin() + first, batch.indices.begin() + first + 4}};
    sum += alone.step(half, 1, 1.0).losses[0];
  }
  EXPECT_NEAR(mean, sum / 2, 1e-5 * std::abs(mean));
}

// Weights stay, so that rounding does not grow. On a GPU the third step of a shape is replayed.
TEST_P(GroupsOnDevice, NormsThatSeeAllGroupsSeeTheBatch) {
  TrainerConfig config = config_of(4, device());
  config.norms = NormSharing::kSync;
  Trainer trainer(config, kImages);
  Trainer one(config_of(1, device()), kImages);
  for (const std::int64_t images : {8, 8, 8, 5, 5, 5, 8}) {  // the short ones: 2, 2, 1 and 0
    const Batch batch = batch_of(trainer.network().batches_tracked(), images);
    const StepLosses got = trainer.step(batch, 1, 0.0);
    const StepLosses want = one.step(batch, 1, 0.0);
    for (std::size_t i = 0; i < want.losses.size(); ++i)
      EXPECT_NEAR(got.losses[i], want.losses[i], 1e-5 * std::abs(want.losses[0])) << images;
  }
  EXPECT_EQ(trainer.why_not_captured(), "");
  EXPECT_EQ(trainer.network().batches_tracked(), 7);
}

TEST_P(GroupsOnDevice, ALossThatIsNotFiniteChangesNothing) {
  Trainer trainer(config_of(4, device()), kImages);
  trainer.step(batch_of(0, 8), 1, 1.0);
  std::vector<NamedTensor> weights = trainer.network().parameters();
  for (NamedTensor& item : weights) item.tensor = item.tensor.to(kCpu).clone();
  const std::vector<NamedTensor> before = state_of(trainer);
  Batch broken = batch_of(1, 8);
  broken.images.data<float>()[kSize * kSize * 3 * 5] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THROW(trainer.step(broken, 1, 1.0), NotFinite);
  for (const NamedTensor& item : weights) {
    for (const NamedTensor& now : trainer.network().parameters()) {
      if (now.name == item.name) expect_identical(now.tensor.to(kCpu), item.tensor);
    }
  }
  const std::vector<NamedTensor> after = state_of(trainer);
  expect_identical(after[after.size() - 2].tensor, before[before.size() - 2].tensor);
  expect_identical(after.back().tensor, before.back().tensor);
}

}  // namespace
}  // namespace invp::testing
