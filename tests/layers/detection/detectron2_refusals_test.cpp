// Which files in detectron2's forms are refused, and how that is said.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>

#include "engine/files/numpy_pickle_writer.h"
#include "engine/files/pth_writer.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "layers/detection/detectron2_export.h"
#include "layers/detection/faster_rcnn.h"
#include "layers/detection/pretrained.h"
#include "layers/exchange.h"
#include "tests/layers/detection/detectron2_files.h"

namespace invp {
namespace {

using ::testing::AllOf;
using testing::detectron2_file;
using testing::error_of;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempFolder;
using Tensors = std::vector<std::pair<std::string, Tensor>>;

/// The detector under detectron2's names, to be spoiled.
class Spoiled : public ::testing::Test {
 protected:
  Spoiled() {
    file_.tensors =
        to_detectron2(*open_weights(detectron2_file("expected.safetensors")), "").tensors;
  }

  void erase(const std::string& part) {
    std::erase_if(file_.tensors,
                  [&](const auto& tensor) { return tensor.first.find(part) != std::string::npos; });
  }
  void rename(const std::string& from, const std::string& to) {
    for (auto& [name, tensor] : file_.tensors) {
      if (name.starts_with(from)) name.replace(0, from.size(), to);
    }
  }
  void set(const std::string& name, Tensor value) {
    erase(name);
    file_.tensors.emplace_back(name, std::move(value));
  }
  std::string detector_error() {
    write_safetensors(path_, file_);
    return error_of([&] { load_detector(path_); });
  }
  std::string backbone_error(const std::string& prefix = "") {
    write_safetensors(path_, file_);
    return error_of([&] { load_backbone(path_, prefix); });
  }

  TempFolder folder_;
  std::filesystem::path path_ = folder_ / "a";
  TensorFile file_;
};

TEST_F(Spoiled, ByAWrongPrefix) {
  rename("backbone.", "trunk.");
  EXPECT_THAT(backbone_error(), HasSubstr("a: the network in it is none that is built here: "
                                          "resnet50 of width 1 without \"res5.0.conv1.weight\""));
  EXPECT_THAT(detector_error(), HasSubstr("resnet50 of width 1 without \"res5.0.conv1.weight\""));
  int number = 0;
  for (auto& [name, tensor] : file_.tensors) name = "encoder." + std::to_string(number++);
  EXPECT_THAT(backbone_error(), HasSubstr("or detectron2's ('stem.conv1.weight', "));
}

TEST_F(Spoiled, ByAPrefixThatIsNotThere) {
  EXPECT_THAT(backbone_error("teacher."), HasSubstr("no network under --weights-prefix teacher."));
}

TEST_F(Spoiled, ByATensorOfAnotherShape) {
  set("backbone.res4.0.conv2.weight", Tensor::zeros({4, 4, 1, 1}));
  const auto says = AllOf(HasSubstr("\"backbone.res4.0.conv2.weight\" is (4, 4, 1, 1), that of"),
                          HasSubstr("is (4, 4, 3, 3)"));
  EXPECT_THAT(backbone_error(), says);
  EXPECT_THAT(detector_error(), says);
}

TEST_F(Spoiled, ByAMissingTensor) {
  erase("roi_heads.res5.2.conv3.norm.bias");
  EXPECT_THAT(backbone_error(), HasSubstr("without \"roi_heads.res5.2.conv3.norm.bias\""));
}

TEST_F(Spoiled, ByPartsOfTheDetector) {
  const std::pair<const char*, Tensor> shapes[] = {
      {"roi_heads.box_predictor.bbox_pred.weight", Tensor::zeros({4, 32})},
      {"proposal_generator.rpn_head.objectness_logits.weight", Tensor::zeros({3, 16, 1, 1})}};
  for (const auto& [name, value] : shapes) {
    const TensorFile whole = file_;
    set(name, value);
    EXPECT_THAT(detector_error(),
                AllOf(HasSubstr(name), HasSubstr("that of a Faster R-CNN R50-C4")));
    file_ = whole;
  }
  erase("rpn_head.conv.bias");
  EXPECT_THAT(detector_error(), HasSubstr("lacks \"proposal_generator.rpn_head.conv.bias\""));
  erase("box_predictor.cls_score.weight");
  EXPECT_THAT(detector_error(), HasSubstr("lacks \"roi_heads.box_predictor.cls_score.weight\""));
}

TEST_F(Spoiled, ByNormsThatAreMissing) {
  const TensorFile whole = file_;
  erase("roi_heads.res5.norm.");
  EXPECT_THAT(detector_error(),
              AllOf(HasSubstr("no norm after its last stage (\"roi_heads.res5.norm.weight\")"),
                    Not(HasSubstr("frozen"))));
  EXPECT_EQ(load_backbone(path_).lists.loaded.size(), 318u);  // its backbone is as good as any
  erase("num_batches_tracked");
  EXPECT_THAT(detector_error(), AllOf(HasSubstr("no norm after its last stage"),
                                      HasSubstr("and its norms are frozen")));
  file_ = whole;
  erase("num_batches_tracked");
  EXPECT_THAT(detector_error(), HasSubstr("norms of the detector are frozen"));
  erase(".norm.");
  EXPECT_THAT(detector_error(), HasSubstr("has no batch norms (no running_mean)"));
}

TEST_F(Spoiled, ByAFeaturePyramid) {
  rename("backbone.", "backbone.bottom_up.");
  rename("roi_heads.res5.", "backbone.bottom_up.res5.");
  erase("backbone.bottom_up.res5.norm.");
  EXPECT_THAT(detector_error(), HasSubstr("a detector with a feature pyramid"));
  EXPECT_EQ(load_backbone(path_).network.prefix, "backbone.bottom_up.");
}

TEST_F(Spoiled, ByValuesThatAreNotFinite) {
  Tensor bias = Tensor::zeros({16});
  bias.data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
  set("proposal_generator.rpn_head.conv.bias", bias);
  EXPECT_THAT(detector_error(), AllOf(HasSubstr("rpn_head.conv.bias\" holds NaN (element 3)")));
  bias = Tensor::zeros({1});
  bias.data<float>()[0] = std::numeric_limits<float>::infinity();
  set("backbone.stem.conv1.norm.bias", bias);
  EXPECT_THAT(backbone_error(), HasSubstr("stem.conv1.norm.bias\" holds an infinite value"));
}

TEST_F(Spoiled, ByOtherPictures) {
  const TensorFile whole = file_;
  set("pixel_mean", Tensor::from(std::vector<float>{103.53F, 116.28F, 123.675F}, {3, 1, 1}));
  EXPECT_THAT(backbone_error(),
              AllOf(HasSubstr("\"pixel_mean\" is 103.53, 116.28, 123.675, not 123.675, 116.28"),
                    HasSubstr("BGR"), HasSubstr("take weights for RGB")));
  EXPECT_THAT(detector_error(), HasSubstr("\"pixel_mean\" is 103.53"));
  file_ = whole;
  set("pixel_std", Tensor::from(std::vector<float>{1, 1, 1}, {3, 1, 1}));
  EXPECT_THAT(backbone_error(), HasSubstr("\"pixel_std\" is 1, 1, 1"));
  file_ = whole;
  erase("num_batches_tracked");
  for (auto& [name, tensor] : file_.tensors)
    if (name.ends_with("running_mean")) tensor = Tensor::zeros(tensor.shape());
  EXPECT_THAT(backbone_error(), HasSubstr("have no statistics (running_mean is 0 everywhere)"));
}

TEST_F(Spoiled, ByAnotherCountOfClasses) {
  file_.metadata["classes"] = R"(["cat", "dog"])";
  EXPECT_THAT(detector_error(), HasSubstr("names 2 classes, but the detector in it has 3"));
}

TEST_F(Spoiled, ByBeingABackbone) {
  erase("proposal_generator.");
  erase("box_predictor.");
  erase("roi_heads.res5.norm.");
  EXPECT_THAT(detector_error(),
              AllOf(HasSubstr("no detector in it"), HasSubstr("invp detect train --checkpoint")));
  write_safetensors(path_, pytorch_state(ResNet({.arch = Arch::kResNet18, .width = 1})));
  EXPECT_THAT(error_of([&] { load_backbone(path_); }),
              HasSubstr("is a resnet18 of width 1 with a linear head of 128; the detector stands "
                        "on a resnet50"));
}

TEST_F(Spoiled, ByBeingCaffe2s) {
  const Tensors caffe2 = {{"conv1_w", Tensor::zeros({64, 3, 7, 7})},
                          {"res_conv1_bn_s", Tensor::zeros({64})},
                          {"res2_0_branch2a_w", Tensor::zeros({64, 64, 1, 1})},
                          {"res2_0_branch2a_bn_s", Tensor::zeros({64})}};
  for (const char* under : {"", "blobs"}) {
    Tensors tensors = caffe2;
    write_numpy_pickle(folder_ / "c.pkl", stored_tensors(tensors), {.under = under, .notes = {}},
                       elements_of(tensors));
    const auto says = AllOf(HasSubstr("c.pkl: a network of Caffe2"), HasSubstr("BGR"),
                            HasSubstr("stride in the 1x1"), HasSubstr("take weights for RGB"));
    EXPECT_THAT(error_of([&] { load_backbone(folder_ / "c.pkl"); }), says);
    EXPECT_THAT(error_of([&] { load_detector(folder_ / "c.pkl"); }), says);
  }
}

}  // namespace
}  // namespace invp
