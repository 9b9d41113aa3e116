// Networks that are moved between devices: what moves, and that they compute the same there.
#include <gtest/gtest.h>

#include <cmath>

#include "engine/autograd/node.h"
#include "engine/core/numerics.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/step/sgd_step.h"
#include "layers/autocast.h"
#include "layers/exchange.h"
#include "layers/resnet.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp {
namespace {

constexpr NetworkConfig kSmall{.arch = Arch::kResNet18Cifar, .width = 8, .dim = 16};

Tensor some_images(int size) {
  return testing::tensor(testing::random_values(3, 2LL * size * size * 3), {2, size, size, 3});
}

/// |actual - want| / |want|
double relative_distance(const Tensor& actual, const testing::Values& want) {
  const testing::Values values = testing::values_of(actual);
  double difference = 0;
  double length = 0;
  for (std::size_t i = 0; i < want.size(); ++i) {
    difference += (values.at(i) - want[i]) * (values.at(i) - want[i]);
    length += want[i] * want[i];
  }
  return std::sqrt(difference / length);
}

class ModuleOnDevice : public testing::DeviceTest {};
RUN_ON_EACH_DEVICE(ModuleOnDevice);

TEST_P(ModuleOnDevice, MovesForEveryHandle) {
  ResNet network(kSmall);
  const std::vector<NamedTensor> held = network.state();
  const TensorFile before = pytorch_state(network);
  const std::int64_t parameters =
      memory_stats(device()).live_by_use[static_cast<std::size_t>(MemoryUse::kParameters)];
  network.to(device());
  EXPECT_EQ(network.device(), device());
  std::int64_t bytes = 0;
  for (const auto& [name, tensor] : held) {
    EXPECT_EQ(tensor.device(), device()) << name;
    bytes += static_cast<std::int64_t>(tensor.nbytes());
  }
  if (device() != kCpu) {
    EXPECT_EQ(memory_stats(device()).live_by_use[static_cast<std::size_t>(MemoryUse::kParameters)] -
                  parameters,
              bytes);
  }
  const TensorFile after = pytorch_state(network);
  network.to(kCpu);
  const TensorFile back = pytorch_state(network);
  for (std::size_t i = 0; i < before.tensors.size(); ++i) {
    SCOPED_TRACE(before.tensors[i].first);
    testing::expect_identical(after.tensors[i].second, before.tensors[i].second);
    testing::expect_identical(back.tensors[i].second, before.tensors[i].second);
  }
}

TEST_P(ModuleOnDevice, LoadsWeightsFromTheHostAndCountsItsBatches) {
  ResNet network(kSmall);
  network.to(device());
  NetworkConfig other = kSmall;
  other.seed = 9;
  ResNet trained(other);
  trained.forward(some_images(16));
  load_pytorch_state(network, pytorch_state(trained), "test");
  EXPECT_EQ(network.device(), device());
  network.forward(some_images(16));
  const TensorFile state = pytorch_state(network);
  testing::expect_identical(*state.find("conv1.weight"),
                            *pytorch_state(trained).find("conv1.weight"));
  EXPECT_EQ(*state.find("bn1.num_batches_tracked")->data<std::int64_t>(), 2);
}

// The bf16 values kept beside a weight are up to date, whatever wrote it last, and its gradient is
// that of rounding it anew.
TEST_P(ModuleOnDevice, WeightsAreRoundedOnceAndNeverStale) {
  const Tensor start = testing::tensor(testing::random_values(1, 24), {4, 6}, device());
  const Tensor dy = testing::tensor(testing::random_values(2, 24), {4, 6}, device(), DType::kBF16);
  Tensor kept = start.clone();
  Tensor plain = start.clone();
  kept.set_requires_grad(true);
  plain.set_requires_grad(true);
  const auto expect_same = [&] {
    testing::expect_identical(as_operand(kept, DType::kBF16), cast(plain, DType::kBF16));
  };
  expect_same();
  EXPECT_TRUE(kept.rounded().defined());
  backward(as_operand(kept, DType::kBF16), dy);
  backward(cast(plain, DType::kBF16), dy);
  testing::expect_identical(kept.grad(), plain.grad());
  for (const Tensor& weight : {kept, plain}) {
    const SgdItem item{.weight = weight,
                       .gradient = weight.grad(),
                       .momentum = Tensor::empty_like(weight),
                       .first = true,
                       .copy = weight.rounded()};
    sgd_step({&item, 1}, {.lr = 0.1});
  }
  EXPECT_TRUE(kept.rounded().defined());
  expect_same();
  for (const Tensor& weight : {kept, plain}) weight.copy_from(start);
  EXPECT_FALSE(kept.rounded().defined());
  expect_same();
  for (const Tensor& weight : {kept, plain}) weight.zero();
  expect_same();
  EXPECT_TRUE(as_operand(kept, DType::kF32).same_as(kept));
}

// Batch norm by itself and folded into the convolutions, in both dtypes, one after the other.
TEST_P(ModuleOnDevice, EvaluatesAsOnTheCpu) {
  constexpr double kRounding = 1e-4;  // folding the batch norms rounds otherwise
  for (const auto& [name, arch] : all_archs()) {
    SCOPED_TRACE(name);
    ResNet network({.arch = arch, .width = 8, .head = HeadKind::kMlp, .dim = 16});
    const Tensor images = some_images(32);
    network.forward(images);  // running statistics that are not the first ones
    network.train(false);
    const testing::Values want = testing::values_of(network.forward(images));
    network.to(device());
    EXPECT_LT(relative_distance(network.forward(images), want), kRounding);
    const NoGrad no_grad;
    EXPECT_LT(relative_distance(network.forward(images), want), kRounding);
    if (multiplies_bf16(device())) {
      network.set_compute_type(DType::kBF16);
      EXPECT_LT(relative_distance(network.forward(images), want), 3e-2);
    }
    network.set_compute_type(DType::kF32);
    EXPECT_LT(relative_distance(network.forward(images), want), kRounding);
  }
}

}  // namespace
}  // namespace invp
