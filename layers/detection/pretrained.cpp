#include "layers/detection/pretrained.h"

#include <algorithm>
#include <set>

#include "engine/core/text.h"
#include "engine/files/weights.h"

namespace invp {
namespace {

void sort_into(WeightLists& lists, const TensorSource& source, const TakenTensors& taken) {
  std::set<std::size_t> places;
  for (const auto& [name, place] : taken) places.insert(place);
  for (std::size_t i = 0; i < source.tensors().size(); ++i)
    (places.contains(i) ? lists.loaded : lists.ignored).push_back(source.tensors()[i].name);
}

}  // namespace

std::vector<std::string> WeightLists::lines() const {
  constexpr std::size_t kShown = 4;
  std::vector<std::string> lines;
  const auto add = [&](const char* what, const std::vector<std::string>& names) {
    if (names.empty()) return;
    std::string line = message(names.size(), names.size() == 1 ? " tensor " : " tensors ", what);
    for (std::size_t i = 0; i < std::min(kShown, names.size()); ++i)
      line += (i == 0 ? ": " : ", ") + names[i];
    lines.push_back(line + (names.size() > kShown ? ", ..." : ""));
  };
  add("loaded", loaded);
  add("ignored", ignored);
  add("initialized", initialized);
  return lines;
}

BackboneWeights load_backbone(const std::filesystem::path& path, const std::string& prefix) {
  const std::unique_ptr<TensorSource> source = open_weights(path);
  BackboneWeights weights{.network = choose_network(*source, prefix)};
  FoundNetwork& network = weights.network;
  CHECK(network.config.arch == Arch::kResNet50, source->path(), ": the network in it is a ",
        describe(network), "; the detector stands on a resnet50");
  std::erase_if(network.tensors, [](const auto& it) { return it.first.starts_with("fc."); });
  network.head = false;
  weights.tensors = read_network(*source, network, /*with_head=*/false);
  sort_into(weights.lists, *source, network.tensors);
  for (const NamedShape& shape : detector_shapes(network.config.width, 1))
    weights.lists.initialized.push_back(shape.name);
  return weights;
}

DetectorWeights load_detector(const std::filesystem::path& path, const std::string& prefix) {
  const std::unique_ptr<TensorSource> source = open_weights(path);
  DetectorWeights weights{.detector = choose_detector(*source, prefix)};
  weights.tensors = read_detector(*source, weights.detector);
  sort_into(weights.lists, *source, weights.detector.tensors);
  return weights;
}

}  // namespace invp
