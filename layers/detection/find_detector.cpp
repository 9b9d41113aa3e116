#include "layers/detection/find_detector.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <set>

#include "engine/core/text.h"
#include "layers/detectron2_input.h"
#include "layers/detectron2_names.h"

namespace invp {
namespace {

constexpr std::int64_t kAnchors = 15;  // of each place: 5 sizes, 3 shapes
constexpr std::int64_t kMaxClasses = 100'000;
constexpr std::string_view kRegionNorm = "region_norm.";
constexpr std::string_view kScores = "predictor.classes.weight";
constexpr std::string_view kCount = "num_batches_tracked";

std::optional<std::size_t> place_of(const TensorSource& source, const std::string& name) {
  const auto found = std::ranges::find(source.tensors(), name, &StoredTensor::name);
  if (found == source.tensors().end()) return std::nullopt;
  return static_cast<std::size_t>(found - source.tensors().begin());
}

/// What the file would call a tensor of the detector that this network is the backbone of.
std::string full_name(const FoundNetwork& backbone, const std::string& ours) {
  return backbone.prefix + name_in_file(backbone.naming, ours);
}

/// Is anything of a detector beside the network?
bool has_detector(const TensorSource& source, const FoundNetwork& network) {
  if (network.naming != Naming::kTorchvision && network.naming != Naming::kDetectron2Detector)
    return false;
  return std::ranges::any_of(detector_shapes(1, 1), [&](const NamedShape& shape) {
    return place_of(source, full_name(network, shape.name)).has_value();
  });
}

bool any_name_has(const TensorSource& source, std::string_view part) {
  return std::ranges::any_of(source.tensors(), [&](const StoredTensor& tensor) {
    return tensor.name.find(part) != std::string::npos;
  });
}

[[noreturn]] void fail_without(const TensorSource& source, const std::vector<std::string>& misses) {
  const std::string& file = source.path();
  refuse_caffe2(source);
  CHECK(!any_name_has(source, "backbone.bottom_up.") && !any_name_has(source, ".fpn_"), file,
        ": a detector with a feature pyramid; the one that is built here is the R50-C4 without");
  CHECK(!any_name_has(source, "stem.conv1.weight") || any_name_has(source, ".running_mean"), file,
        ": the network in it has no batch norms (no running_mean); the detector that is built here "
        "has them everywhere");
  CHECK(misses.empty(), file, ": the network in it is none that is built here: ", misses.front());
  fail(file,
       ": no detector in it (\"rpn.conv.weight\", or detectron2's "
       "\"proposal_generator.rpn_head.conv.weight\", beside a ResNet-50); a backbone is what "
       "\"invp detect train --checkpoint\" begins with");
}

/// Names of classes as we write them, and as lists of other files turn into notes.
std::vector<std::string> class_names(const TensorSource& source, std::int64_t classes) {
  const auto& metadata = source.metadata();
  std::vector<std::string> names;
  if (const auto json = metadata.find(kDetectorClasses); json != metadata.end()) {
    constexpr std::size_t kMost = std::size_t{4} << 20;  // a tree takes many times its text
    if (json->second.size() > kMost) return {};
    const auto list = nlohmann::json::parse(json->second, nullptr, /*allow_exceptions=*/false);
    if (!list.is_array()) return {};
    for (const auto& name : list) {
      if (!name.is_string()) return {};
      names.push_back(name.get<std::string>());
    }
  } else {
    for (std::size_t i = 0;; ++i) {
      const auto note = metadata.find(message(kDetectorClasses, '.', i));
      if (note == metadata.end()) break;
      names.push_back(note->second);
    }
  }
  CHECK(names.empty() || std::ssize(names) == classes, source.path(), ": names ", names.size(),
        " classes, but the detector in it has ", classes);
  return names;
}

/// The norms' faults, which the file's names alone tell.
void check_norms(const TensorSource& source, const FoundNetwork& backbone) {
  const bool counted = std::ranges::any_of(
      backbone.tensors, [](const auto& tensor) { return tensor.first.ends_with(kCount); });
  const bool frozen = backbone.naming == Naming::kDetectron2Detector && !counted;
  const std::string norm = full_name(backbone, std::string(kRegionNorm) + "weight");
  CHECK(
      place_of(source, norm), source.path(), ": the detector has no norm after its last stage (\"",
      norm, "\")", frozen ? ", and its norms are frozen (no num_batches_tracked)" : "",
      ": detectron2's own R50-C4, not the one of MoCo and InvP, which is built here; its backbone "
      "can be taken by \"invp detect train --checkpoint\"");
  CHECK(!frozen, source.path(),
        ": the norms of the detector are frozen (no num_batches_tracked); the one that is built "
        "here was trained with batch norms that are not");
}

/// The rows of the scores, one of which is the background's.
std::int64_t classes_of(const TensorSource& source, const FoundNetwork& backbone) {
  const std::string name = full_name(backbone, std::string(kScores));
  const auto scores = place_of(source, name);
  CHECK(scores, source.path(), ": the detector lacks \"", name, '"');
  const auto& extents = source.tensors()[*scores].extents;
  CHECK(extents.size() == 2 && extents[0] >= 2 && extents[0] <= kMaxClasses, source.path(), ": \"",
        name, "\" is ", shape_text(extents),
        "; it has a row for each class and for the background");
  return extents[0] - 1;
}

}  // namespace

std::vector<NamedShape> detector_shapes(std::int64_t width, std::int64_t classes) {
  const std::int64_t map = 16 * width;
  const std::int64_t region = 32 * width;
  std::vector<NamedShape> shapes;
  const auto add = [&](const std::string& name, std::vector<std::int64_t> weight) {
    shapes.push_back({name + ".weight", weight});
    shapes.push_back({name + ".bias", {weight[0]}});
  };
  add("region_norm", {region});
  shapes.push_back({"region_norm.running_mean", {region}});
  shapes.push_back({"region_norm.running_var", {region}});
  add("rpn.conv", {map, map, 3, 3});
  add("rpn.objectness", {kAnchors, map, 1, 1});
  add("rpn.deltas", {4 * kAnchors, map, 1, 1});
  add("predictor.classes", {classes + 1, region});
  add("predictor.deltas", {4 * classes, region});
  return shapes;
}

bool holds_detector(const TensorSource& source) {
  return std::ranges::any_of(find_networks(source.tensors()), [&](const FoundNetwork& network) {
    return has_detector(source, network);
  });
}

FoundDetector choose_detector(const TensorSource& source, const std::string& prefix) {
  std::vector<std::string> misses;
  std::vector<FoundNetwork> networks = find_networks(source.tensors(), &misses);
  std::erase_if(networks, [&](const FoundNetwork& it) { return !has_detector(source, it); });
  if (networks.empty()) fail_without(source, misses);
  FoundDetector detector{.backbone = choose_among(source, std::move(networks), prefix)};
  FoundNetwork& backbone = detector.backbone;
  CHECK(backbone.config.arch == Arch::kResNet50, source.path(), ": a detector on a ",
        name_of(backbone.config.arch), "; the one that is built here stands on a resnet50");
  std::erase_if(backbone.tensors, [](const auto& it) { return it.first.starts_with("fc."); });
  backbone.head = false;
  check_norms(source, backbone);
  const std::int64_t classes = classes_of(source, backbone);
  detector.classes = static_cast<int>(classes);
  detector.class_names = class_names(source, classes);
  detector.tensors = backbone.tensors;
  for (const NamedShape& shape : detector_shapes(backbone.config.width, classes)) {
    const std::string name = full_name(backbone, shape.name);
    const auto place = place_of(source, name);
    CHECK(place, source.path(), ": the detector lacks \"", name, '"');
    const StoredTensor& tensor = source.tensors()[*place];
    CHECK(tensor.extents == shape.extents, source.path(), ": \"", name, "\" is ",
          shape_text(tensor.extents), ", that of a ", describe(detector), " is ",
          shape_text(shape.extents));
    CHECK(is_real(tensor.type), source.path(), ": \"", name, "\" is of type ", name_of(tensor.type),
          "; weights are floats");
    detector.tensors.emplace_back(shape.name, *place);
  }
  const std::string count = std::string(kRegionNorm).append(kCount);
  const auto place = place_of(source, full_name(backbone, count));
  if (place && source.tensors()[*place].type == StoredType::kI64 &&
      source.tensors()[*place].bytes == sizeof(std::int64_t)) {
    detector.tensors.emplace_back(count, *place);
  }
  return detector;
}

TensorFile read_detector(const TensorSource& source, const FoundDetector& detector) {
  return read_taken(source, detector.tensors, describe(detector));
}

std::string describe(const FoundDetector& detector) {
  return message("Faster R-CNN R50-C4 of width ", detector.backbone.config.width, " for ",
                 detector.classes, detector.classes == 1 ? " class" : " classes");
}

}  // namespace invp
