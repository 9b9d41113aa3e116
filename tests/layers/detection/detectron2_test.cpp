// Weights in and out of detectron2's forms: golden/make_detectron2.py wrote the files, names.tsv
// what detectron2's own loader filled from a converted ResNet-50.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <fstream>
#include <limits>
#include <memory>
#include <set>
#include <sstream>

#include "engine/files/numpy_pickle_writer.h"
#include "engine/files/pth_writer.h"
#include "engine/files/safetensors.h"
#include "engine/files/weights.h"
#include "layers/detection/detectron2_export.h"
#include "layers/detection/faster_rcnn.h"
#include "layers/detection/pretrained.h"
#include "layers/detectron2_names.h"
#include "layers/exchange.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::TempFolder;
using Tensors = std::vector<std::pair<std::string, Tensor>>;

constexpr const char* kFolder = "detectron2/";

std::filesystem::path file(const std::string& name) {
  return golden(kFolder + name);
}

bool is_count(const std::string& name) {
  return name.ends_with("num_batches_tracked");
}

/// The same names, and the same bits.
void expect_equal(const Tensors& read, const Tensors& wanted) {
  TensorFile there{.tensors = read};
  EXPECT_EQ(read.size(), wanted.size());
  for (const auto& [name, want] : wanted) {
    const Tensor* tensor = there.find(name);
    ASSERT_NE(tensor, nullptr) << name;
    ASSERT_EQ(tensor->shape(), want.shape()) << name;
    ASSERT_EQ(tensor->dtype(), want.dtype()) << name;
    EXPECT_EQ(std::memcmp(tensor->raw(), want.raw(), want.nbytes()), 0) << name;
  }
}

const TensorFile& expected() {
  static const TensorFile detector = read_safetensors(file("expected.safetensors"));
  return detector;
}

/// What of it a backbone has.
Tensors expected_backbone() {
  Tensors backbone = expected().tensors;
  std::erase_if(backbone, [](const auto& tensor) {
    return tensor.first.starts_with("r") || tensor.first.starts_with("predictor");
  });
  return backbone;
}

// --- names

struct Row {
  std::string kind;
  std::string ours;
  std::string theirs;
  std::string shape;
};

std::vector<Row> rows(const std::string& kind) {
  std::ifstream lines(file("names.tsv"));
  std::vector<Row> rows;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    Row row;
    std::getline(fields, row.kind, '\t');
    std::getline(fields, row.ours, '\t');
    std::getline(fields, row.theirs, '\t');
    std::getline(fields, row.shape, '\t');
    if (row.kind == kind) rows.push_back(row);
  }
  return rows;
}

std::string shape_of(const NamedShape& shape) {
  std::string text;
  for (const std::int64_t extent : shape.extents)
    text += (text.empty() ? "" : "x") + std::to_string(extent);
  return text;
}

TEST(Detectron2Names, AreThoseThatItsLoaderFills) {
  const std::vector<Row> loaded = rows("loaded");
  ASSERT_EQ(loaded.size(), 318u);
  std::map<std::string, std::string> shapes;
  for (const NamedShape& shape : backbone_shapes({.arch = Arch::kResNet50, .width = 64}))
    shapes[shape.name] = shape_of(shape);
  EXPECT_EQ(shapes.size(), 318u - 53u);
  for (const Row& row : loaded) {
    EXPECT_EQ(detectron2_detector_name(row.ours), row.theirs);
    EXPECT_EQ(name_of_detectron2_detector(row.theirs), row.ours);
    const std::string alone = row.theirs.substr(row.theirs.find('.') + 1);
    EXPECT_EQ(detectron2_backbone_name(row.ours), alone);
    EXPECT_EQ(name_of_detectron2_backbone(alone), row.ours);
    if (!is_count(row.ours)) {
      EXPECT_EQ(shapes[row.ours], row.shape) << row.ours;
    }
  }
}

TEST(Detectron2Names, LeaveTheHeadOfABackboneOut) {
  const std::vector<Row> ignored = rows("ignored");
  ASSERT_EQ(ignored.size(), 4u);
  for (const Row& row : ignored) {
    EXPECT_EQ(detectron2_backbone_name(row.ours), row.theirs);
    EXPECT_EQ(name_of_detectron2_backbone(row.theirs), row.ours);
    EXPECT_EQ(detectron2_detector_name(row.ours), std::nullopt);
    EXPECT_EQ(name_of_detectron2_detector("backbone." + row.theirs), std::nullopt);
  }
}

TEST(Detectron2Names, CoverTheDetector) {
  const FasterRcnn detector(DetectorConfig{.width = 1, .classes = 3});
  std::size_t tensors = 0;
  for (const auto& [name, tensor] : pytorch_state(detector, 0).tensors) {
    EXPECT_TRUE(detectron2_detector_name(name)) << name;
    ++tensors;
  }
  EXPECT_EQ(tensors, 333u);
}

TEST(Detectron2Names, OfTheDetectorAreThoseThatStayInitialized) {
  std::map<std::string, std::string> wanted;
  for (const Row& row : rows("initialized")) wanted[row.theirs] = row.shape;
  ASSERT_EQ(wanted.size(), 14u);
  std::map<std::string, std::string> there;
  for (const NamedShape& shape : detector_shapes(64, 20)) {
    const auto theirs = detectron2_detector_name(shape.name);
    ASSERT_TRUE(theirs) << shape.name;
    EXPECT_EQ(name_of_detectron2_detector(*theirs), shape.name);
    there[*theirs] = shape_of(shape);
  }
  EXPECT_EQ(there, wanted);
}

TEST(Detectron2Names, FallIntoItsTwoGroupsOfWeightDecay) {
  std::vector<NamedShape> shapes = backbone_shapes({.arch = Arch::kResNet50, .width = 64});
  const std::vector<NamedShape> others = detector_shapes(64, 20);
  shapes.insert(shapes.end(), others.begin(), others.end());
  std::set<std::string> norms;
  for (const NamedShape& shape : shapes)
    if (shape.name.ends_with("running_var"))
      norms.insert(shape.name.substr(0, shape.name.size() - std::strlen("running_var")));
  std::size_t of_norms = 0;
  std::size_t of_others = 0;
  for (const NamedShape& shape : shapes) {
    if (shape.name.find("running_") != std::string::npos) continue;
    const bool norm = norms.contains(shape.name.substr(0, shape.name.rfind('.') + 1));
    ++(norm ? of_norms : of_others);
  }
  const Row sizes = rows("sizes").at(0);
  EXPECT_EQ(std::to_string(of_norms), sizes.ours);
  EXPECT_EQ(std::to_string(of_others), sizes.theirs);
}

TEST(Detectron2Names, AreNothingForOthers) {
  for (const char* ours : {"", "conv1", "conv1.scale", "layer5.0.conv1.weight",
                           "layer1.conv1.weight", "layer1.x.conv1.weight", "layer1..conv1.weight",
                           "layer1.0.conv4.weight", "rpn.weight", "stem.conv1.weight"}) {
    EXPECT_EQ(detectron2_backbone_name(ours), std::nullopt) << ours;
    EXPECT_EQ(detectron2_detector_name(ours), std::nullopt) << ours;
  }
  for (const char* theirs : {"backbone.res5.0.conv1.weight", "roi_heads.res4.0.conv1.weight",
                             "roi_heads.stem.conv1.weight", "res2.0.conv1.weight", "backbone."}) {
    EXPECT_EQ(name_of_detectron2_detector(theirs), std::nullopt) << theirs;
  }
}

// --- files

TEST(BackboneFiles, GiveAllOfTheNetworkAndSayWhatTheyGave) {
  for (const char* name : {"backbone_moco.pkl", "backbone_python2.pkl", "detector.pkl",
                           "detector.pth", "expected.safetensors"}) {
    const BackboneWeights weights = load_backbone(file(name));
    EXPECT_EQ(weights.network.config.width, 1) << name;
    expect_equal(weights.tensors.tensors, expected_backbone());
    EXPECT_EQ(weights.lists.loaded.size(), 318u) << name;
    EXPECT_EQ(weights.lists.initialized.size(), 14u) << name;
    ResNet network(weights.network.config);
    load_pytorch_backbone(network, weights.tensors, name);
  }
  const WeightLists moco = load_backbone(file("backbone_moco.pkl")).lists;
  EXPECT_THAT(moco.ignored, ElementsAre("model.stem.fc.0.weight", "model.stem.fc.0.bias",
                                        "model.stem.fc.2.weight", "model.stem.fc.2.bias"));
  EXPECT_THAT(moco.loaded, Contains("model.res5.2.conv3.norm.num_batches_tracked"));
  EXPECT_THAT(moco.lines(), ElementsAre(HasSubstr("318 tensors loaded: model.stem.conv1.weight, "),
                                        HasSubstr("4 tensors ignored: model.stem.fc.0.weight, "),
                                        HasSubstr("14 tensors initialized: region_norm.weight, ")));
  EXPECT_THAT(load_backbone(file("detector.pth")).lists.ignored,
              Contains("model.proposal_generator.rpn_head.conv.weight"));
}

TEST(DetectorFiles, GiveAllOfTheDetector) {
  for (const char* name : {"detector.pkl", "detector.pth", "expected.safetensors"}) {
    const DetectorWeights weights = load_detector(file(name));
    EXPECT_EQ(weights.detector.classes, 3);
    EXPECT_EQ(describe(weights.detector), "Faster R-CNN R50-C4 of width 1 for 3 classes");
    EXPECT_EQ(weights.lists.loaded.size(), 333u);
    EXPECT_TRUE(weights.lists.initialized.empty());
    expect_equal(weights.tensors.tensors, expected().tensors);
  }
  EXPECT_THAT(load_detector(file("expected.safetensors")).detector.class_names,
              ElementsAre("cat", "dog", "b\xc3\xa4r"));
  EXPECT_THAT(load_detector(file("detector.pth")).lists.ignored,
              ElementsAre("model.pixel_mean", "model.pixel_std",
                          "model.proposal_generator.anchor_generator.cell_anchors.0",
                          "optimizer.state.0.momentum_buffer"));
}

TEST(Detectron2Export, ComesBackAsItWas) {
  const TempFolder folder;
  const auto source = open_weights(file("expected.safetensors"));
  const Detectron2Weights weights = to_detectron2(*source, "");
  EXPECT_EQ(weights.tensors.size(), 333u);
  for (const char* name : {"a.pkl", "a.pth", "a.safetensors"}) {
    write_detectron2(folder / name, weights);
    const DetectorWeights back = load_detector(folder / name);
    expect_equal(back.tensors.tensors, expected().tensors);
    EXPECT_THAT(back.detector.class_names, ElementsAre("cat", "dog", "b\xc3\xa4r")) << name;
    EXPECT_TRUE(back.lists.ignored.empty());
  }
  // What the loader of detectron2 looks at.
  const auto pickle = open_weights(folder / "a.pkl");
  EXPECT_EQ(pickle->metadata().at("__author__"), "invp");
  EXPECT_EQ(pickle->metadata().at("matching_heuristics"), "True");
  EXPECT_TRUE(pickle->tensors()[0].name.starts_with("model.backbone.stem."));
}

/// A detector as training leaves it, all of its state moved from where it began.
std::unique_ptr<FasterRcnn> trained(std::uint64_t seed) {
  auto detector =
      std::make_unique<FasterRcnn>(DetectorConfig{.width = 1, .classes = 3, .seed = seed});
  float value = 0.25F;
  for (const auto& [name, tensor] : detector->state()) {
    for (float& element : tensor.span<float>()) element += value;
    value = value > 1 ? 0.25F : value + 0.125F;
  }
  return detector;
}

TEST(Detectron2Export, OfOurDetectorGivesItBack) {
  const TempFolder folder;
  const Tensors state = pytorch_state(*trained(3), 11).tensors;
  // As a run's checkpoint has it: under "model.", momentum beside it.
  TensorFile checkpoint{.metadata = {{"classes", R"(["cat", "dog", "cow"])"}}};
  for (const auto& [name, tensor] : state) {
    checkpoint.tensors.emplace_back("model." + name, tensor);
    if (!is_count(name) && name.find("running_") == std::string::npos)
      checkpoint.tensors.emplace_back("momentum." + name, tensor);
  }
  write_safetensors(folder / "run.safetensors", checkpoint);
  write_detectron2(folder / "a.pkl", to_detectron2(*open_weights(folder / "run.safetensors"), ""));
  for (const char* name : {"run.safetensors", "a.pkl"}) {
    const DetectorWeights weights = load_detector(folder / name);
    const std::unique_ptr<FasterRcnn> other = trained(4);
    EXPECT_EQ(load_pytorch_state(*other, weights.tensors, name), 11);
    expect_equal(pytorch_state(*other, 11).tensors, state);
    EXPECT_THAT(weights.detector.class_names, ElementsAre("cat", "dog", "cow")) << name;
  }
  const auto source = open_weights(folder / "run.safetensors");
  EXPECT_EQ(choose_network(*source, "").prefix, "model.");  // other commands find the backbone
}

TEST(Detectron2Export, OfABackboneIsInMoCosForm) {
  const TempFolder folder;
  write_detectron2(folder / "a.pkl", to_detectron2(*open_weights(file("backbone_moco.pkl")), ""));
  const auto source = open_weights(folder / "a.pkl");
  std::set<std::string> names;
  for (std::size_t i = 0; i < source->tensors().size(); ++i) names.emplace(source->unwrapped(i));
  std::set<std::string> wanted;
  for (const Row& row : rows("loaded")) wanted.insert(row.theirs.substr(row.theirs.find('.') + 1));
  EXPECT_EQ(names, wanted);
  expect_equal(load_backbone(folder / "a.pkl").tensors.tensors, expected_backbone());
}

TEST(Detectron2Export, CountsBatchesWhereTheFileDoesNot) {
  const TempFolder folder;
  TensorFile file = expected();
  std::erase_if(file.tensors, [](const auto& tensor) {
    return is_count(tensor.first) && tensor.first != "bn1.num_batches_tracked";
  });
  write_safetensors(folder / "in", file);
  const Detectron2Weights weights = to_detectron2(*open_weights(folder / "in"), "");
  EXPECT_EQ(weights.tensors.size(), 333u);
  const TensorFile written{.tensors = weights.tensors};
  const Tensor* count = written.find("roi_heads.res5.norm.num_batches_tracked");
  ASSERT_NE(count, nullptr);
  EXPECT_EQ(*count->data<std::int64_t>(), 7);
}

TEST(Detectron2Export, RefusesStemsForSmallPictures) {
  const TempFolder folder;
  const ResNet network({.arch = Arch::kResNet18Cifar, .width = 1});
  write_safetensors(folder / "in", pytorch_state(network));
  EXPECT_THAT(error_of([&] { to_detectron2(*open_weights(folder / "in"), ""); }),
              AllOf(HasSubstr("resnet18-cifar"), HasSubstr("no network with a stem for small")));
}

// --- what is refused

/// The detector under detectron2's names, to be spoiled.
class Spoiled : public ::testing::Test {
 protected:
  Spoiled() {
    file_.tensors = to_detectron2(*open_weights(file("expected.safetensors")), "").tensors;
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
