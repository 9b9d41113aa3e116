// --recompute decides memory and time, and nothing else: every network, on every device.
#include <gtest/gtest.h>

#include "engine/autograd/node.h"
#include "engine/core/numerics.h"
#include "engine/devices/cuda_info.h"
#include "layers/resnet.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"

namespace invp::testing {
namespace {

constexpr std::int64_t kBatch = 4;
constexpr std::int64_t kDim = 16;

struct Outcome {
  Tensor output;
  std::vector<NamedTensor> gradients;
  std::vector<NamedTensor> buffers;
  std::int64_t saved = 0;  ///< bytes live between the passes, beyond those before
  std::int64_t peak = 0;   ///< most bytes live at any time, beyond those before
};

class NetworkRecomputeTest
    : public ::testing::TestWithParam<std::tuple<Device, std::pair<std::string, Arch>, DType>> {
 protected:
  void SetUp() override {
    if (dtype() == DType::kBF16 && !multiplies_bf16(device())) GTEST_SKIP() << "no AVX-512";
  }

  static Device device() { return std::get<0>(GetParam()); }
  static Arch arch() { return std::get<1>(GetParam()).second; }
  static DType dtype() { return std::get<2>(GetParam()); }
  static bool cifar() { return arch() == Arch::kResNet18Cifar || arch() == Arch::kResNet50Cifar; }

  static NetworkConfig config(Recompute recompute) {
    return {.arch = arch(), .width = 4, .dim = kDim, .seed = 3, .recompute = recompute};
  }
  static Tensor images() {
    const Shape shape{kBatch, cifar() ? 16 : 32, cifar() ? 16 : 32, 3};
    return tensor(random_values(1, shape.numel()), shape);
  }

  static void move(ResNet& network) {
    network.to(device());
    network.set_compute_type(dtype());
  }

  static Outcome train(Recompute recompute, bool training = true) {
    ResNet network(config(recompute));
    move(network);
    network.train(training);
    const Tensor seed = tensor(random_values(2, kBatch * kDim), {kBatch, kDim}, device());
    {
      const NoGrad
          no_grad;  // rounds the weights and makes plans, whose memory is not measured here
      network.forward(images());
    }
    Outcome outcome;
    const std::int64_t before = memory_stats(device()).live;
    reset_peak_memory(device());
    Tensor y = network.forward(images());
    outcome.saved = memory_stats(device()).live - before;
    outcome.output = y.clone();
    backward(std::move(y), seed);
    outcome.peak = memory_stats(device()).peak - before;
    for (const auto& [name, parameter] : network.parameters())
      outcome.gradients.push_back({name, parameter.grad()});
    outcome.buffers = network.buffers();
    return outcome;
  }

  static void expect_same(const Outcome& outcome, const Outcome& plain) {
    expect_identical(outcome.output, plain.output);
    for (std::size_t i = 0; i < plain.gradients.size(); ++i) {
      SCOPED_TRACE(plain.gradients[i].name);
      expect_identical(outcome.gradients[i].tensor, plain.gradients[i].tensor);
    }
    for (std::size_t i = 0; i < plain.buffers.size(); ++i) {
      SCOPED_TRACE(plain.buffers[i].name);
      expect_identical(outcome.buffers[i].tensor, plain.buffers[i].tensor);
    }
  }
};

std::string test_name(const ::testing::TestParamInfo<NetworkRecomputeTest::ParamType>& info) {
  const auto& [device, arch, dtype] = info.param;
  std::string name = arch.first + (device == kCpu ? "_cpu_" : "_cuda_") + name_of(dtype);
  std::ranges::replace(name, '-', '_');
  return name;
}

/// With an emulated GPU, which is slow, the two that have both stems and both kinds of blocks.
std::vector<std::pair<std::string, Arch>> tested_archs() {
  std::vector<std::pair<std::string, Arch>> archs = all_archs();
  if (cuda_info().emulated) {
    std::erase_if(archs, [](const auto& item) {
      return item.second != Arch::kResNet18Cifar && item.second != Arch::kResNet50;
    });
  }
  return archs;
}

INSTANTIATE_TEST_SUITE_P(Networks, NetworkRecomputeTest,
                         ::testing::Combine(::testing::ValuesIn(available_devices()),
                                            ::testing::ValuesIn(tested_archs()),
                                            ::testing::Values(DType::kF32, DType::kBF16)),
                         test_name);

TEST_P(NetworkRecomputeTest, SavesMemoryAndChangesNoBit) {
  const Outcome none = train(Recompute::kNone);
  const Outcome blocks = train(Recompute::kBlocks);
  expect_same(blocks, none);

  // What the stem keeps, what lies between the blocks, and a few numbers per channel.
  EXPECT_LT(blocks.saved, 0.7 * static_cast<double>(none.saved));
  EXPECT_LE(blocks.peak, none.peak);
  if (!cifar()) return;  // on maps so small the filters' gradients make the peak
  EXPECT_LT(blocks.peak, none.peak);
  if (dtype() == DType::kBF16) return;  // its tensors are small beside what oneDNN's kernels borrow
  EXPECT_GT(none.peak - blocks.peak, 0.5 * static_cast<double>(none.saved - blocks.saved));
}

class EvaluationRecomputeTest : public NetworkRecomputeTest {};
INSTANTIATE_TEST_SUITE_P(
    Networks, EvaluationRecomputeTest,
    ::testing::Combine(::testing::ValuesIn(available_devices()),
                       ::testing::Values(std::pair(std::string("resnet18-cifar"),
                                                   Arch::kResNet18Cifar)),
                       ::testing::Values(DType::kF32, DType::kBF16)),
    test_name);

TEST_P(EvaluationRecomputeTest, GradientsThroughRunningStatisticsAreTheSame) {
  const Outcome none = train(Recompute::kNone, false);
  expect_same(train(Recompute::kBlocks, false), none);
}

}  // namespace
}  // namespace invp::testing
