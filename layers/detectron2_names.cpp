#include "layers/detectron2_names.h"

#include <algorithm>
#include <span>

namespace invp {
namespace {

struct NamePair {
  std::string_view ours;
  std::string_view theirs;
};
using Side = std::string_view NamePair::*;

/// A direction of translation.
struct Way {
  Side from;
  Side to;
};
constexpr Way kToTheirs = {&NamePair::ours, &NamePair::theirs};
constexpr Way kToOurs = {&NamePair::theirs, &NamePair::ours};

// Modules that hold tensors.
constexpr NamePair kStem[] = {{"conv1", "stem.conv1"},
                              {"bn1", "stem.conv1.norm"},
                              {"fc", "stem.fc"},
                              {"fc.0", "stem.fc.0"},
                              {"fc.2", "stem.fc.2"}};
constexpr NamePair kStages[] = {
    {"layer1", "res2"}, {"layer2", "res3"}, {"layer3", "res4"}, {"layer4", "res5"}};
constexpr NamePair kBlock[] = {{"conv1", "conv1"},           {"bn1", "conv1.norm"},
                               {"conv2", "conv2"},           {"bn2", "conv2.norm"},
                               {"conv3", "conv3"},           {"bn3", "conv3.norm"},
                               {"downsample.0", "shortcut"}, {"downsample.1", "shortcut.norm"}};
constexpr NamePair kDetector[] = {
    {"region_norm", "roi_heads.res5.norm"},
    {"rpn.conv", "proposal_generator.rpn_head.conv"},
    {"rpn.objectness", "proposal_generator.rpn_head.objectness_logits"},
    {"rpn.deltas", "proposal_generator.rpn_head.anchor_deltas"},
    {"predictor.classes", "roi_heads.box_predictor.cls_score"},
    {"predictor.deltas", "roi_heads.box_predictor.bbox_pred"}};
constexpr std::string_view kLeaves[] = {"weight", "bias", "running_mean", "running_var",
                                        "num_batches_tracked"};

// In the detector the last stage belongs to the head.
constexpr std::string_view kTrunk = "backbone.";
constexpr std::string_view kRegions = "roi_heads.";
constexpr std::string_view kLastStage = "res5.";
constexpr std::string_view kHead = "stem.fc.";

std::optional<std::string_view> looked_up(std::span<const NamePair> table, std::string_view name,
                                          Way way) {
  const auto found = std::ranges::find(table, name, way.from);
  if (found == table.end()) return std::nullopt;
  return (*found).*way.to;
}

/// "layer4.0.bn1": a stage, the place of a block in it, a module of the block.
std::optional<std::string> block_module(std::string_view name, Way way) {
  const std::size_t first = name.find('.');
  if (first == std::string_view::npos) return std::nullopt;
  const std::size_t second = name.find('.', first + 1);
  if (second == std::string_view::npos || second == first + 1) return std::nullopt;
  const std::string_view place = name.substr(first, second - first + 1);  // ".0."
  if (place.find_first_not_of("0123456789", 1) != place.size() - 1) return std::nullopt;
  const auto stage = looked_up(kStages, name.substr(0, first), way);
  const auto module = looked_up(kBlock, name.substr(second + 1), way);
  if (!stage || !module) return std::nullopt;
  return std::string(*stage).append(place).append(*module);
}

template <class Translate>
std::optional<std::string> with_leaf(std::string_view name, const Translate& translate) {
  const std::size_t dot = name.rfind('.');
  if (dot == std::string_view::npos) return std::nullopt;
  const std::string_view leaf = name.substr(dot + 1);
  if (std::ranges::find(kLeaves, leaf) == std::end(kLeaves)) return std::nullopt;
  const std::optional<std::string> module = translate(name.substr(0, dot));
  if (!module) return std::nullopt;
  return *module + '.' + std::string(leaf);
}

std::optional<std::string> backbone_name(std::string_view name, Way way) {
  return with_leaf(name, [&](std::string_view module) -> std::optional<std::string> {
    if (const auto stem = looked_up(kStem, module, way)) return std::string(*stem);
    return block_module(module, way);
  });
}

std::optional<std::string> detector_name(std::string_view name, Way way) {
  return with_leaf(name, [&](std::string_view module) -> std::optional<std::string> {
    const auto found = looked_up(kDetector, module, way);
    if (!found) return std::nullopt;
    return std::string(*found);
  });
}

}  // namespace

std::optional<std::string> detectron2_backbone_name(std::string_view ours) {
  return backbone_name(ours, kToTheirs);
}

std::optional<std::string> name_of_detectron2_backbone(std::string_view theirs) {
  return backbone_name(theirs, kToOurs);
}

std::optional<std::string> detectron2_detector_name(std::string_view ours) {
  if (auto name = detector_name(ours, kToTheirs)) return name;
  const auto name = backbone_name(ours, kToTheirs);
  if (!name || name->starts_with(kHead)) return std::nullopt;
  return std::string(name->starts_with(kLastStage) ? kRegions : kTrunk) + *name;
}

std::optional<std::string> name_of_detectron2_detector(std::string_view theirs) {
  if (auto name = detector_name(theirs, kToOurs)) return name;
  const bool regions = theirs.starts_with(kRegions);
  if (!regions && !theirs.starts_with(kTrunk)) return std::nullopt;
  const std::string_view rest = theirs.substr(regions ? kRegions.size() : kTrunk.size());
  if (regions != rest.starts_with(kLastStage) || rest.starts_with(kHead)) return std::nullopt;
  return backbone_name(rest, kToOurs);
}

}  // namespace invp
