// Networks against torchvision in double precision: golden/make_layers.py.
#include "layers/resnet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <map>
#include <set>

#include "engine/autograd/node.h"
#include "engine/core/layout.h"
#include "engine/core/numerics.h"
#include "engine/files/safetensors.h"
#include "layers/exchange.h"
#include "layers/find_network.h"
#include "tests/support/formula.h"

namespace invp {
namespace {

using testing::fill;
using testing::uniform;

const std::string kGolden = std::string(INVP_SOURCE_DIR) + "/tests/golden/data/layers_";

std::map<std::string, Tensor> by_name(const std::vector<NamedTensor>& tensors) {
  std::map<std::string, Tensor> sorted;
  for (const NamedTensor& item : tensors) sorted[item.name] = item.tensor;
  return sorted;
}

double relative_error(const Tensor& actual, const Tensor& expected) {
  double difference = 0;
  double length = 0;
  for (std::int64_t i = 0; i < actual.numel(); ++i) {
    const double want = expected.data<float>()[i];
    difference += (actual.data<float>()[i] - want) * (actual.data<float>()[i] - want);
    length += want * want;
  }
  return std::sqrt(difference / length);
}

struct Network {
  const char* golden;
  NetworkConfig config;
  int size;
  double gradient_tolerance;
};

// GoogleTest's name.
void PrintTo(const Network& network, std::ostream* out) {
  *out << network.golden;
}

class ResNetGolden : public ::testing::TestWithParam<Network> {
 protected:
  const TensorFile golden = read_safetensors(kGolden + GetParam().golden + ".safetensors");
  const Tensor& want(const char* name) { return *golden.find(name); }
  Tensor images() {
    const int size = GetParam().size;
    return Tensor::from(uniform(1000, 4LL * size * size * 3), {4, size, size, 3});
  }
};

INSTANTIATE_TEST_SUITE_P(
    Networks, ResNetGolden,
    ::testing::Values(
        Network{"resnet18", {.arch = Arch::kResNet18, .dim = 16}, 64, 2e-3},
        Network{"resnet50", {.arch = Arch::kResNet50, .dim = 16}, 64, 1e-1},
        Network{"resnet18_cifar", {.arch = Arch::kResNet18Cifar, .width = 8, .dim = 16}, 32, 2e-3}),
    [](const auto& network) { return std::string(network.param.golden); });

TEST_P(ResNetGolden, HasTorchvisionsNamesInItsOrder) {
  const ResNet network(GetParam().config);
  std::ifstream file(kGolden + GetParam().golden + ".names.txt");
  std::vector<std::string> want;
  for (std::string line; std::getline(file, line);) want.push_back(line);
  ASSERT_GT(want.size(), 50u);
  std::vector<std::string> names;
  for (const auto& [name, tensor] : pytorch_state(network).tensors) names.push_back(name);
  EXPECT_EQ(names, want);
}

TEST_P(ResNetGolden, EvaluatesAsTorchvision) {
  ResNet network(GetParam().config);
  fill(network);
  network.train(false);
  EXPECT_LT(relative_error(network.forward(images()), want("eval")), 2e-5);
  const NoGrad no_grad;  // folds the batch norms
  EXPECT_LT(relative_error(network.forward(images()), want("eval")), 2e-5);
}

// Batch norm over few values (16 per channel in ResNet-50's last stage) amplifies rounding from
// layer to layer: torchvision in float32 differs from itself in double by 4e-5 in the outputs, 4e-4
// in the gradients' norms and 5e-2 in their projections.
TEST_P(ResNetGolden, TrainsAsTorchvision) {
  ResNet network(GetParam().config);
  fill(network);
  const Tensor y = network.forward(images());
  EXPECT_LT(relative_error(y, want("train")), 2e-4);
  backward(y, Tensor::from(uniform(1001, y.numel()), y.shape()));
  std::vector<float> norms;
  std::vector<float> products;
  std::uint64_t stream = 2000;
  for (const auto& [name, tensor] : by_name(network.parameters())) {
    ASSERT_TRUE(tensor.grad().defined()) << name;
    const Tensor gradient = tensor.rank() == 4 ? channels_first(tensor.grad()) : tensor.grad();
    const std::vector<float> direction = uniform(stream++, gradient.numel());
    double squares = 0;
    double product = 0;
    for (std::int64_t i = 0; i < gradient.numel(); ++i) {
      const double value = gradient.data<float>()[i];
      squares += value * value;
      product += value * direction[static_cast<std::size_t>(i)];
    }
    norms.push_back(static_cast<float>(std::sqrt(squares)));
    products.push_back(static_cast<float>(product));
  }
  const auto count = static_cast<std::int64_t>(norms.size());
  EXPECT_LT(relative_error(Tensor::from(norms, {count}), want("gradient_norms")), 1e-3);
  EXPECT_LT(relative_error(Tensor::from(products, {count}), want("gradient_products")),
            GetParam().gradient_tolerance);
  const std::map<std::string, Tensor> state = by_name(network.state());
  EXPECT_LT(relative_error(state.at("layer4.1.bn2.running_mean"), want("running_mean")), 1e-3);
  EXPECT_LT(relative_error(state.at("layer4.1.bn2.running_var"), want("running_var")), 1e-3);
  EXPECT_EQ(network.batches_tracked(), 1);
}

TEST_P(ResNetGolden, IsRecognisedByItsWeights) {
  const ResNet network(GetParam().config);
  const NetworkConfig found =
      find_networks(stored_tensors(pytorch_state(network).tensors)).at(0).config;
  EXPECT_EQ(found.arch, GetParam().config.arch);
  EXPECT_EQ(found.width, GetParam().config.width);
  EXPECT_EQ(found.dim, GetParam().config.dim);
  EXPECT_EQ(found.head, HeadKind::kLinear);
}

TEST(ResNet, ParameterCountsArePublished) {
  const auto count = [](const NetworkConfig& config) {
    return count_elements(ResNet(config).parameters());
  };
  EXPECT_EQ(count({.arch = Arch::kResNet18Cifar, .width = 16}), 716688);
  EXPECT_EQ(count({.arch = Arch::kResNet34, .dim = 1000}), 21797672);
  EXPECT_EQ(count({.arch = Arch::kResNet50, .head = HeadKind::kMlp}),
            27966656);  // 2048-2048-128 with biases
}

TEST(ResNet, TapsAreTheStemAndEveryBlock) {
  const NoGrad no_grad;
  ResNet network({.arch = Arch::kResNet50, .width = 8});
  EXPECT_EQ(network.tap_count(), 17);
  std::vector<Shape> shapes;
  Tensor last;
  const Tensor images = Tensor::from(uniform(1, 2 * 64 * 64 * 3), {2, 64, 64, 3});
  network.train(false);
  network.taps(images, 17, [&](int tap, const Tensor& output) {
    EXPECT_EQ(tap, static_cast<int>(shapes.size()) + 1);
    shapes.push_back(output.shape());
    last = output;
  });
  EXPECT_EQ(shapes.front(), (Shape{2, 16, 16, 8}));
  EXPECT_EQ(shapes[1], (Shape{2, 16, 16, 32}));
  EXPECT_EQ(shapes[4], (Shape{2, 8, 8, 64}));
  EXPECT_EQ(shapes.back(), (Shape{2, 2, 2, 256}));
  const Tensor features = network.features(images);
  for (std::int64_t c = 0; c < 256; ++c) {
    double mean = 0;
    for (std::int64_t p = 0; p < 4; ++p) mean += last.data<float>()[p * 256 + c] / 4;
    EXPECT_NEAR(features.data<float>()[c], mean, 1e-5);
  }
  EXPECT_THROW(network.taps(images, 18, [](int, const Tensor&) {}), Error);
}

// A tap visitor keeps what it was shown: later blocks must not overwrite it.
TEST(ResNet, TapsSurviveLaterBlocks) {
  const NoGrad no_grad;
  ResNet network({.arch = Arch::kResNet18Cifar, .width = 8});
  network.train(false);
  std::vector<Tensor> kept;
  std::vector<Tensor> copies;
  network.taps(Tensor::from(uniform(1, 32 * 32 * 3), {1, 32, 32, 3}), 9,
               [&](int, const Tensor& output) {
                 kept.push_back(output);
                 copies.push_back(output.clone());
               });
  for (std::size_t i = 0; i < kept.size(); ++i)
    EXPECT_EQ(relative_error(kept[i], copies[i]), 0) << "tap " << i + 1;
}

TEST(ResNet, Bf16FollowsF32) {
  if (!multiplies_bf16(kCpu)) GTEST_SKIP() << "no AVX-512";
  const NoGrad no_grad;
  ResNet network({.arch = Arch::kResNet18Cifar, .width = 16});
  network.train(false);
  const Tensor images = Tensor::from(uniform(1, 4 * 32 * 32 * 3), {4, 32, 32, 3});
  const Tensor exact = network.features(images);
  network.set_compute_type(DType::kBF16);
  const Tensor rounded = network.features(images);
  EXPECT_EQ(rounded.dtype(), DType::kF32);
  const double error = relative_error(rounded, exact);
  EXPECT_LT(error, 3e-2);
  EXPECT_GT(error, 1e-5);  // it really was computed in bf16
}

TEST(ResNet, SeedsDecideTheWeights) {
  const auto first = [](std::uint64_t seed) {
    const NetworkConfig config{.arch = Arch::kResNet18Cifar, .width = 8, .seed = seed};
    return pytorch_state(ResNet(config)).tensors.front().second;
  };
  EXPECT_EQ(relative_error(first(3), first(3)), 0);
  EXPECT_GT(relative_error(first(3), first(4)), 0.5);
}

TEST(ResNet, RefusesAnotherNetworksWeights) {
  const auto error_of = [](ResNet& network, const TensorFile& file) {
    try {
      load_pytorch_state(network, file, "file.pth");
    } catch (const Error& error) {
      return std::string(error.what());
    }
    return std::string("none");
  };
  ResNet small({.arch = Arch::kResNet18Cifar, .width = 8});
  ResNet wide({.arch = Arch::kResNet18Cifar, .width = 16});
  ResNet mlp({.arch = Arch::kResNet18Cifar, .width = 8, .head = HeadKind::kMlp});
  EXPECT_THAT(error_of(small, pytorch_state(wide)),
              ::testing::AllOf(::testing::HasSubstr("file.pth: conv1.weight"),
                               ::testing::HasSubstr("--width")));
  EXPECT_THAT(error_of(small, pytorch_state(mlp)),
              ::testing::AllOf(::testing::HasSubstr("missing fc."),
                               ::testing::HasSubstr("not known fc.0.")));
  EXPECT_EQ(error_of(small, pytorch_state(small)), "none");
}

// A file has the count once per norm, as an i64; the network has it once.
TEST(ResNet, BatchesAreCountedAndTheCountIsExchanged) {
  const NetworkConfig config{.arch = Arch::kResNet18Cifar, .width = 4, .dim = 8};
  const Tensor images = Tensor::from(uniform(1, 2 * 8 * 8 * 3), {2, 8, 8, 3});
  ResNet network(config);
  for (int i = 0; i < 3; ++i) network.forward(images);
  network.train(false);
  network.forward(images);
  EXPECT_EQ(network.batches_tracked(), 3);
  TensorFile file = pytorch_state(network);
  int counts = 0;
  for (const auto& [name, tensor] : file.tensors) {
    if (!name.ends_with("num_batches_tracked")) continue;
    ++counts;
    EXPECT_EQ(tensor.dtype(), DType::kI64);
    EXPECT_EQ(tensor.shape(), Shape{});
    EXPECT_EQ(*tensor.data<std::int64_t>(), 3) << name;
  }
  EXPECT_EQ(counts, 20);

  ResNet loaded(config), backbone(config);
  load_pytorch_state(loaded, file, "file");
  load_pytorch_backbone(backbone, file, "file");
  EXPECT_EQ(loaded.batches_tracked(), 3);
  EXPECT_EQ(backbone.batches_tracked(), 3);
  loaded.forward(images);
  EXPECT_EQ(loaded.batches_tracked(), 4);
  std::erase_if(file.tensors,
                [](const auto& item) { return item.first.ends_with("num_batches_tracked"); });
  load_pytorch_state(loaded, file, "file");  // files of other tools may lack it
  EXPECT_EQ(loaded.batches_tracked(), 4);
  file.tensors.emplace_back("bn1.num_batches_tracked", Tensor::zeros({1}));
  EXPECT_THROW(load_pytorch_state(loaded, file, "file"), Error);
  file.tensors.back() = {"bn9.num_batches_tracked", Tensor::zeros({}, DType::kI64)};
  EXPECT_THROW(load_pytorch_state(loaded, file, "file"), Error);
}

TEST(ResNet, BackboneLoadsWhateverTheHead) {
  ResNet classifier({.arch = Arch::kResNet18Cifar, .width = 8, .dim = 10, .seed = 1});
  ResNet network({.arch = Arch::kResNet18Cifar, .width = 8, .dim = 128, .seed = 2});
  load_pytorch_backbone(network, pytorch_state(classifier), "file.pth");
  const NoGrad no_grad;
  const Tensor images = Tensor::from(uniform(1, 32 * 32 * 3), {1, 32, 32, 3});
  classifier.train(false);
  network.train(false);
  EXPECT_EQ(relative_error(network.features(images), classifier.features(images)), 0);
  EXPECT_EQ(network.forward(images).shape(), (Shape{1, 128}));
}

}  // namespace
}  // namespace invp
