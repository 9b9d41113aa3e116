// Checkpoints as projects lay them out and as PyTorch saves them: golden/make_checkpoints.py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "engine/core/layout.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "layers/exchange.h"
#include "layers/find_network.h"
#include "layers/resnet_shapes.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempFolder;

const std::string kFolder = std::string(INVP_SOURCE_DIR) + "/tests/golden/data/weights/";

struct Checkpoint {
  const char* file;
  const char* prefix;
  Arch arch = Arch::kResNet18;
  int head = 0;  ///< its dimension, 0 without one
};

// GoogleTest's name.
void PrintTo(const Checkpoint& checkpoint, std::ostream* out) {
  *out << checkpoint.file;
}

class CheckpointFiles : public ::testing::TestWithParam<Checkpoint> {};

TEST_P(CheckpointFiles, GivePyTorchsFeatures) {
  static const TensorFile golden = read_safetensors(kFolder + "features.safetensors");
  const Checkpoint& checkpoint = GetParam();
  const auto source = open_weights(kFolder + checkpoint.file);
  const FoundNetwork found = choose_network(*source, "");
  EXPECT_EQ(found.prefix, checkpoint.prefix);
  EXPECT_EQ(found.config.arch, checkpoint.arch);
  EXPECT_EQ(found.config.width, 1);
  ASSERT_EQ(found.head, checkpoint.head > 0);
  if (found.head) {
    EXPECT_EQ(found.config.dim, checkpoint.head);
  }

  const TensorFile weights = read_network(*source, found, true);
  ResNet network(found.config);
  found.head ? load_pytorch_state(network, weights, checkpoint.file)
             : load_pytorch_backbone(network, weights, checkpoint.file);
  network.train(false);
  const Tensor features = network.features(channels_last(*golden.find("images")));
  const Tensor& want = *golden.find(checkpoint.file);
  ASSERT_EQ(features.shape(), want.shape());
  double largest = 0;
  for (std::int64_t i = 0; i < want.numel(); ++i) {
    const double expected = want.data<float>()[i];
    largest = std::max(largest, std::abs(expected));
    EXPECT_NEAR(features.data<float>()[i], expected, 1e-5 * std::max(1.0, std::abs(expected))) << i;
  }
  EXPECT_GT(largest, 0.01) << "the features say nothing";
}

INSTANTIATE_TEST_SUITE_P(
    Projects, CheckpointFiles,
    ::testing::Values(
        Checkpoint{"imagenet_example.pth.tar", "state_dict.module.", Arch::kResNet18, 4},
        Checkpoint{"moco_v2.pth.tar", "state_dict.module.encoder_q.", Arch::kResNet18, 16},
        Checkpoint{"moco_v3.pth.tar", "state_dict.module.base_encoder."},
        Checkpoint{"simclr.pth.tar", "state_dict.backbone.", Arch::kResNet18, 4},
        Checkpoint{"byol_online_encoder.pt", "online_encoder.net.", Arch::kResNet18, 4},
        Checkpoint{"byol_online_network.pth", "online_network_state_dict.encoder."},
        Checkpoint{"dino.pth", "teacher.module.backbone."},
        Checkpoint{"swav.pth.tar", "state_dict.module."},
        Checkpoint{"vissl_pirl.torch", "classy_state_dict.base_model.model.trunk._feature_blocks.",
                   Arch::kResNet50},
        Checkpoint{"openselfsup_moco.pth", "state_dict.encoder_q.0."},
        Checkpoint{"lightly_moco.ckpt", "state_dict.backbone."},
        Checkpoint{"solo_learn.ckpt", "state_dict.backbone."},
        Checkpoint{"supcon.pth", "model.encoder.module.", Arch::kResNet18Cifar},
        Checkpoint{"kuangliu_cifar.pth", "net.module.", Arch::kResNet18Cifar},
        Checkpoint{"timm.pth.tar", "state_dict.", Arch::kResNet18, 4},
        Checkpoint{"compiled.pt", "model_state_dict.module._orig_mod.", Arch::kResNet18, 4},
        Checkpoint{"whole_module.pth", "ema.", Arch::kResNet18, 4}));

INSTANTIATE_TEST_SUITE_P(
    Forms, CheckpointFiles,
    ::testing::Values(Checkpoint{"tar_form.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"deflated.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"without_crc.pth", "state_dict.", Arch::kResNet18, 4},
                      Checkpoint{"harmless_2.pth", "model.", Arch::kResNet18, 4},
                      Checkpoint{"harmless_5.pth", "model.", Arch::kResNet18, 4},
                      Checkpoint{"flat_parameters.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"bfloat16.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"float16.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"float64.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"float8_e4m3fn.pth", "", Arch::kResNet18, 4},
                      Checkpoint{"float8_e4m3fn.safetensors", "", Arch::kResNet18, 4},
                      Checkpoint{"float8_e5m2.pth", "", Arch::kResNet18, 4}));

TEST(NetworkShapes, AreThoseOfTheNetwork) {
  for (const auto& [name, arch] : all_archs()) {
    for (const HeadKind head : {HeadKind::kLinear, HeadKind::kMlp}) {
      const NetworkConfig config{.arch = arch, .width = 2, .head = head, .dim = 3};
      std::vector<NamedShape> shapes = backbone_shapes(config);
      const std::vector<NamedShape> last = head_shapes(config);
      shapes.insert(shapes.end(), last.begin(), last.end());
      const TensorFile state = pytorch_state(ResNet(config));
      std::size_t counts = 0;
      for (const auto& [tensor, values] : state.tensors) counts += tensor.ends_with("_tracked");
      EXPECT_EQ(shapes.size(), state.tensors.size() - counts) << name;
      for (const NamedShape& shape : shapes) {
        const Tensor* tensor = state.find(shape.name);
        ASSERT_NE(tensor, nullptr) << name << shape.name;
        EXPECT_EQ(tensor->shape(), Shape(shape.extents)) << name << shape.name;
      }
    }
  }
}

/// A file of networks under prefixes, and of whatever is added.
class Choice : public ::testing::Test {
 protected:
  void add(const std::string& prefix, std::uint64_t seed, Arch arch = Arch::kResNet18Cifar) {
    const ResNet network({.arch = arch, .width = 1, .dim = 3, .seed = seed});
    for (const auto& [name, tensor] : pytorch_state(network).tensors)
      file_.tensors.emplace_back(prefix + name, tensor);
  }
  Tensor& tensor(const std::string& name) {
    for (auto& [key, tensor] : file_.tensors) {
      if (key == name) return tensor;
    }
    throw std::runtime_error("no tensor " + name);
  }
  std::string chosen(const std::string& prefix = "") {
    write_safetensors(path_, file_);
    return choose_network(*open_weights(path_), prefix).prefix;
  }
  std::string refusal(const std::string& prefix = "") {
    return error_of([&] { chosen(prefix); });
  }
  std::string load_error(bool with_head = true) {
    write_safetensors(path_, file_);
    return error_of([&] { load_network_weights(path_, "", with_head); });
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "two.safetensors";
  TensorFile file_;
};

TEST_F(Choice, OfTwoNetworksIsTheUsers) {
  add("state_dict.model.", 1);
  add("state_dict.ema.", 2);
  EXPECT_THAT(refusal(), AllOf(HasSubstr("two.safetensors: 2 networks"),
                               HasSubstr("\"state_dict.model.\", \"state_dict.ema.\""),
                               HasSubstr("--weights-prefix NAME.")));
  EXPECT_EQ(chosen("ema."), "state_dict.ema.");
  EXPECT_EQ(chosen("ema"), "state_dict.ema.");
  EXPECT_EQ(chosen("state_dict.model."), "state_dict.model.");
  EXPECT_THAT(refusal("a."), AllOf(HasSubstr("no network under --weights-prefix a."),
                                   HasSubstr("\"state_dict.model.\"")));
  EXPECT_THAT(refusal("del."), HasSubstr("no network")) << "only whole parts of a name";
}

TEST_F(Choice, TakesOneOfEqualNetworks) {
  add("a.", 1);
  add("b.", 1);
  EXPECT_EQ(chosen(), "a.");
  tensor("b.layer4.1.bn2.running_var").data<float>()[7] = 3;
  EXPECT_THAT(refusal(), HasSubstr("2 networks"));
}

TEST_F(Choice, PassesOverMovingAveragesOfKnownProjects) {
  for (const auto& [taken, passed_over] : {std::pair("module.encoder_q.", "module.encoder_k."),
                                           std::pair("teacher.backbone.", "student.backbone."),
                                           std::pair("backbone.", "momentum_backbone.")}) {
    file_.tensors.clear();
    add(passed_over, 1);
    add(taken, 2);
    EXPECT_EQ(chosen(), taken);
    EXPECT_EQ(chosen(passed_over), passed_over);
  }
  file_.tensors.clear();
  add("encoder_k.", 1);
  EXPECT_EQ(chosen(), "encoder_k.") << "alone it is the one that fits";
}

TEST_F(Choice, WithoutANetworkSaysWhatIsThere) {
  file_.tensors = {{"optimizer.state.0.momentum_buffer", Tensor::zeros({2})},
                   {"optimizer.state.1.momentum_buffer", Tensor::zeros({2})},
                   {"queue", Tensor::zeros({2})}};
  EXPECT_THAT(refusal(), AllOf(HasSubstr("two.safetensors: no ResNet"),
                               HasSubstr("\"optimizer.state.\" (2), \"queue\" (1)")));
}

TEST_F(Choice, SaysWhatKeepsANetworkFromFitting) {
  add("net.", 1);
  const TensorFile whole = file_;
  std::erase_if(file_.tensors, [](const auto& t) { return t.first == "net.layer2.0.bn1.bias"; });
  EXPECT_THAT(refusal(), HasSubstr("without \"layer2.0.bn1.bias\""));
  file_ = whole;
  tensor("net.layer2.0.conv1.weight") = Tensor::zeros({2, 1, 5, 5});
  EXPECT_THAT(refusal(), AllOf(HasSubstr("\"net.layer2.0.conv1.weight\" is (2, 1, 5, 5)"),
                               HasSubstr("(2, 1, 3, 3)")));
  file_ = whole;
  file_.tensors.emplace_back("net.layer1.0.se.fc1.weight", Tensor::zeros({1}));
  EXPECT_THAT(refusal(), HasSubstr("has no \"layer1.0.se.fc1.weight\""));
  file_ = whole;
  tensor("net.conv1.weight") = Tensor::zeros({1, 3, 3, 3}, DType::kI64);
  EXPECT_THAT(refusal(), HasSubstr("of type i64"));
}

TEST_F(Choice, RefusesValuesThatAreNotFinite) {
  add("", 1);
  for (const float odd :
       {std::numeric_limits<float>::quiet_NaN(), -std::numeric_limits<float>::infinity()}) {
    float& value = tensor("layer3.1.bn1.running_mean").data<float>()[2];
    value = odd;
    EXPECT_THAT(load_error(), AllOf(HasSubstr("\"layer3.1.bn1.running_mean\""),
                                    HasSubstr(std::isnan(odd) ? "NaN" : "infinite")));
    value = 0;
  }
  tensor("fc.bias").data<float>()[0] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_THAT(load_error(), HasSubstr("\"fc.bias\""));
  EXPECT_NO_THROW(load_network_weights(path_, "", false)) << "the head was not asked for";
}

TEST(ChoiceOfWidth, RefusesANetworkLargerThanItsFile) {
  // One element that every tensor repeats: 30 GB out of a few hundred bytes.
  class Repeated : public TensorSource {
   public:
    Repeated() : TensorSource("small.pth") {
      for (const NamedShape& shape : backbone_shapes({.arch = Arch::kResNet50, .width = 1000})) {
        std::uint64_t bytes = 4;
        for (const std::int64_t extent : shape.extents) bytes *= static_cast<std::uint64_t>(extent);
        tensors_.push_back({shape.name, StoredType::kF32, shape.extents, bytes});
      }
      contents_ = 500;
    }
    void read(std::size_t, std::span<std::byte>) const override { FAIL() << "was read"; }
  };
  const Repeated source;
  const FoundNetwork found = choose_network(source, "");
  EXPECT_THAT(error_of([&] { read_network(source, found, false); }),
              AllOf(HasSubstr("small.pth: holds 500 bytes"), HasSubstr("resnet50 of width 1000")));
}

TEST_F(Choice, ToleratesAHeadThatIsNotBuiltHere) {
  add("", 1);
  file_.tensors.emplace_back("fc.1.running_mean", Tensor::zeros({3}));
  write_safetensors(path_, file_);
  const FoundNetwork found = choose_network(*open_weights(path_), "");
  EXPECT_FALSE(found.head);
  EXPECT_THAT(describe(found), HasSubstr("without a head"));
  for (const auto& [name, index] : found.tensors) EXPECT_THAT(name, Not(HasSubstr("fc.")));
}

}  // namespace
}  // namespace invp
