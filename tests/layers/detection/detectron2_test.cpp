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
#include "tests/layers/detection/detectron2_files.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using testing::detectron2_file;
using ::testing::ElementsAre;
using testing::error_of;
using testing::expected_detector;
using ::testing::HasSubstr;
using testing::TempFolder;
using Tensors = std::vector<std::pair<std::string, Tensor>>;

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

/// What of it a backbone has.
Tensors expected_backbone() {
  Tensors backbone = expected_detector().tensors;
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
  std::ifstream lines(detectron2_file("names.tsv"));
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
    const BackboneWeights weights = load_backbone(detectron2_file(name));
    EXPECT_EQ(weights.network.config.width, 1) << name;
    expect_equal(weights.tensors.tensors, expected_backbone());
    EXPECT_EQ(weights.lists.loaded.size(), 318u) << name;
    EXPECT_EQ(weights.lists.initialized.size(), 14u) << name;
    ResNet network(weights.network.config);
    load_pytorch_backbone(network, weights.tensors, name);
  }
  const WeightLists moco = load_backbone(detectron2_file("backbone_moco.pkl")).lists;
  EXPECT_THAT(moco.ignored, ElementsAre("model.stem.fc.0.weight", "model.stem.fc.0.bias",
                                        "model.stem.fc.2.weight", "model.stem.fc.2.bias"));
  EXPECT_THAT(moco.loaded, Contains("model.res5.2.conv3.norm.num_batches_tracked"));
  EXPECT_THAT(moco.lines(), ElementsAre(HasSubstr("318 tensors loaded: model.stem.conv1.weight, "),
                                        HasSubstr("4 tensors ignored: model.stem.fc.0.weight, "),
                                        HasSubstr("14 tensors initialized: region_norm.weight, ")));
  EXPECT_THAT(load_backbone(detectron2_file("detector.pth")).lists.ignored,
              Contains("model.proposal_generator.rpn_head.conv.weight"));
}

TEST(DetectorFiles, GiveAllOfTheDetector) {
  for (const char* name : {"detector.pkl", "detector.pth", "expected.safetensors"}) {
    const DetectorWeights weights = load_detector(detectron2_file(name));
    EXPECT_EQ(weights.detector.classes, 3);
    EXPECT_EQ(describe(weights.detector), "Faster R-CNN R50-C4 of width 1 for 3 classes");
    EXPECT_EQ(weights.lists.loaded.size(), 333u);
    EXPECT_TRUE(weights.lists.initialized.empty());
    expect_equal(weights.tensors.tensors, expected_detector().tensors);
  }
  EXPECT_THAT(load_detector(detectron2_file("expected.safetensors")).detector.class_names,
              ElementsAre("cat", "dog", "b\xc3\xa4r"));
  EXPECT_THAT(load_detector(detectron2_file("detector.pth")).lists.ignored,
              ElementsAre("model.pixel_mean", "model.pixel_std",
                          "model.proposal_generator.anchor_generator.cell_anchors.0",
                          "optimizer.state.0.momentum_buffer"));
}

TEST(Detectron2Export, ComesBackAsItWas) {
  const TempFolder folder;
  const auto source = open_weights(detectron2_file("expected.safetensors"));
  const Detectron2Weights weights = to_detectron2(*source, "");
  EXPECT_EQ(weights.tensors.size(), 333u);
  for (const char* name : {"a.pkl", "a.pth", "a.safetensors"}) {
    write_detectron2(folder / name, weights);
    const DetectorWeights back = load_detector(folder / name);
    expect_equal(back.tensors.tensors, expected_detector().tensors);
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
  write_detectron2(folder / "a.pkl",
                   to_detectron2(*open_weights(detectron2_file("backbone_moco.pkl")), ""));
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
  TensorFile file = expected_detector();
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

}  // namespace
}  // namespace invp
