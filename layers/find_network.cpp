#include "layers/find_network.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <optional>
#include <string_view>
#include <variant>

#include "engine/core/text.h"
#include "engine/files/weights.h"
#include "layers/detectron2_names.h"
#include "layers/resnet_shapes.h"

namespace invp {
namespace {

constexpr std::int64_t kMaxWidth = 1 << 16;
constexpr std::string_view kStem = "conv1.weight";
constexpr std::string_view kCount = "num_batches_tracked";

bool is_backbone(std::string_view name) {
  return name.starts_with("conv1.") || name.starts_with("bn1.") ||
         (name.starts_with("layer") && name.size() > 5 && name[5] >= '0' && name[5] <= '9');
}
bool is_head(std::string_view name) {
  return name.starts_with("fc.");
}

/// Does the name end with `part`, and begin there or after a dot?
bool ends_with_part(std::string_view name, std::string_view part) {
  return name.ends_with(part) &&
         (name.size() == part.size() || name[name.size() - part.size() - 1] == '.');
}

/// The file's tensors by name.
class Names {
 public:
  explicit Names(std::span<const StoredTensor> tensors) : tensors_(tensors) {
    for (std::size_t i = 0; i < tensors.size(); ++i) by_name_.emplace(tensors[i].name, i);
  }
  bool has(const std::string& name) const { return by_name_.contains(name); }
  /// Calls visit(rest of the name, place in the list) for each that begins with `prefix`.
  template <class Visit>
  void each_under(const std::string& prefix, const Visit& visit) const {
    for (auto at = by_name_.lower_bound(prefix);
         at != by_name_.end() && at->first.starts_with(prefix); ++at) {
      visit(at->first.substr(prefix.size()), at->second);
    }
  }
  std::span<const StoredTensor> tensors() const { return tensors_; }

 private:
  std::span<const StoredTensor> tensors_;
  std::map<std::string_view, std::size_t, std::less<>> by_name_;
};

/// Where a network stands, and how it names its parts.
struct Root {
  std::string prefix;
  Naming naming = Naming::kTorchvision;
  int first_stage = 0;  ///< its index in an nn.Sequential

  /// Empty for names that no ResNet has.
  std::string torchvision_name(std::string_view name) const;
};

/// nn.Sequential(*children): 0 the stem, 1 its norm, then perhaps a ReLU and a pool, 4 stages.
std::string name_of_sequential(std::string_view name, int first_stage) {
  std::string result(name);
  const std::size_t dot = result.find('.');
  const std::string index = result.substr(0, dot);
  if (dot == std::string::npos || index.size() > 2 ||
      index.find_first_not_of("0123456789") != std::string::npos) {
    return {};
  }
  const int place = std::stoi(index);
  const int stage = place - first_stage + 1;
  const std::string part = place == 0                 ? "conv1"
                           : place == 1               ? "bn1"
                           : stage >= 1 && stage <= 4 ? "layer" + std::to_string(stage)
                           : stage == 6               ? "fc"
                                                      : "";
  if (part.empty()) return {};
  return result.replace(0, dot, part);
}

std::string Root::torchvision_name(std::string_view name) const {
  if (naming == Naming::kDetectron2) return name_of_detectron2_backbone(name).value_or("");
  if (naming == Naming::kDetectron2Detector) return name_of_detectron2_detector(name).value_or("");
  std::string result =
      naming == Naming::kSequential ? name_of_sequential(name, first_stage) : std::string(name);
  constexpr std::string_view kShortcut = ".shortcut.";
  const std::size_t shortcut = result.find(kShortcut);
  if (result.starts_with("layer") && shortcut != std::string::npos)
    result.replace(shortcut, kShortcut.size(), ".downsample.");
  return result;
}

/// A network of detectron2's names whose stem has this prefix: "backbone.", or "" of a backbone by
/// itself.
std::optional<Root> detectron2_root(const Names& names, const std::string& prefix) {
  constexpr std::string_view kBackbone = "backbone.";
  if (!names.has(prefix + "res2.0.conv1.weight")) return std::nullopt;
  if (ends_with_part(prefix, kBackbone)) {
    const std::string detector = prefix.substr(0, prefix.size() - kBackbone.size());
    if (names.has(detector + "roi_heads.res5.0.conv1.weight"))
      return Root{detector, Naming::kDetectron2Detector};
  }
  return Root{prefix, Naming::kDetectron2};
}

std::vector<Root> find_roots(const Names& names) {
  std::vector<Root> roots;
  for (const StoredTensor& tensor : names.tensors()) {
    if (tensor.extents.size() != 4) continue;
    const auto prefix_before = [&](std::string_view part) {
      return tensor.name.substr(0, tensor.name.size() - part.size());
    };
    if (ends_with_part(tensor.name, kStem)) {
      const std::string prefix = prefix_before(kStem);
      if (names.has(prefix + "layer1.0.conv1.weight")) roots.push_back({prefix});
    }
    constexpr std::string_view kTheirStem = "stem.conv1.weight";
    if (ends_with_part(tensor.name, kTheirStem)) {
      if (auto root = detectron2_root(names, prefix_before(kTheirStem)))
        roots.push_back(*std::move(root));
    }
    constexpr std::string_view kFirst = "0.weight";
    if (!ends_with_part(tensor.name, kFirst)) continue;
    for (int first_stage = 2; first_stage <= 4; ++first_stage) {
      const std::string prefix = prefix_before(kFirst);
      if (!names.has(prefix + std::to_string(first_stage) + ".0.conv1.weight")) continue;
      roots.push_back({prefix, Naming::kSequential, first_stage});
      break;
    }
  }
  return roots;
}

using Members = std::map<std::string, std::size_t, std::less<>>;  // torchvision's name -> place

Arch arch_of(const Members& members, std::span<const StoredTensor> tensors) {
  const bool cifar = tensors[members.at(std::string(kStem))].extents[2] == 3;
  if (members.contains("layer1.0.conv3.weight"))
    return cifar ? Arch::kResNet50Cifar : Arch::kResNet50;
  if (cifar) return Arch::kResNet18Cifar;
  return members.contains("layer3.5.conv1.weight") ? Arch::kResNet34 : Arch::kResNet18;
}

/// Which head the members under "fc." are; false if none that we build.
bool recognise_head(const Members& members, std::span<const StoredTensor> tensors,
                    NetworkConfig& config) {
  config.head = members.contains("fc.2.weight") ? HeadKind::kMlp : HeadKind::kLinear;
  const auto last = members.find(config.head == HeadKind::kMlp ? "fc.2.weight" : "fc.weight");
  if (last == members.end()) return false;
  const auto& extents = tensors[last->second].extents;
  if (extents.size() != 2 || extents[0] < 1 || extents[0] > INT32_MAX) return false;
  NetworkConfig with_head = config;
  with_head.dim = static_cast<int>(extents[0]);
  const std::vector<NamedShape> wanted = head_shapes(with_head);
  const auto there = std::ranges::count_if(members, [](const auto& m) { return is_head(m.first); });
  const bool fits = std::ranges::all_of(wanted, [&](const NamedShape& shape) {
    const auto found = members.find(shape.name);
    return found != members.end() && tensors[found->second].extents == shape.extents &&
           is_real(tensors[found->second].type);
  });
  if (!fits || there != std::ssize(wanted)) return false;
  config = with_head;
  return true;
}

/// The network at a root, or in words why it is none of ours.
std::variant<FoundNetwork, std::string> fit(const Names& names, const Root& root) {
  const auto tensors = names.tensors();
  Members members;
  names.each_under(root.prefix, [&](std::string_view rest, std::size_t index) {
    std::string name = root.torchvision_name(rest);
    if (is_backbone(name) || is_head(name)) members.emplace(std::move(name), index);
  });
  FoundNetwork network;
  network.prefix = root.prefix;
  network.naming = root.naming;
  const std::int64_t width = tensors[members.at(std::string(kStem))].extents[0];
  if (width < 1 || width > kMaxWidth) return message("a stem of ", width, " channels");
  network.config.width = static_cast<int>(width);
  network.config.arch = arch_of(members, tensors);
  const std::string arch =
      message(name_of(network.config.arch), " of width ", network.config.width);

  Members left = members;
  for (const NamedShape& shape : backbone_shapes(network.config)) {
    const auto found = left.find(shape.name);
    if (found == left.end())
      return message(arch, " without \"", name_in_file(root.naming, shape.name), '"');
    const StoredTensor& tensor = tensors[found->second];
    if (tensor.extents != shape.extents) {
      return message("\"", tensor.name, "\" is ", shape_text(tensor.extents), ", that of ", arch,
                     " is ", shape_text(shape.extents));
    }
    if (!is_real(tensor.type)) {
      return message("\"", tensor.name, "\" is of type ", name_of(tensor.type),
                     "; weights are floats");
    }
    network.tensors.emplace_back(*found);
    left.erase(found);
  }
  for (const auto& [name, index] : left) {
    const StoredTensor& tensor = tensors[index];
    if (is_head(name)) continue;
    if (!name.ends_with(kCount)) return message(arch, " has no \"", name, '"');
    if (tensor.type == StoredType::kI64 && tensor.bytes == 8)
      network.tensors.emplace_back(name, index);
  }
  network.head = recognise_head(members, tensors, network.config);
  for (const auto& [name, index] : members) {
    if (network.head && is_head(name)) network.tensors.emplace_back(name, index);
  }
  return network;
}

}  // namespace

std::vector<FoundNetwork> find_networks(std::span<const StoredTensor> tensors,
                                        std::vector<std::string>* misses) {
  const Names names(tensors);
  std::vector<FoundNetwork> networks;
  for (const Root& root : find_roots(names)) {
    auto result = fit(names, root);
    if (auto* network = std::get_if<FoundNetwork>(&result)) {
      networks.push_back(std::move(*network));
    } else if (misses != nullptr) {
      misses->push_back(std::get<std::string>(std::move(result)));
    }
  }
  return networks;
}

TensorFile read_taken(const TensorSource& source, const TakenTensors& taken,
                      const std::string& what) {
  std::uint64_t bytes = 0;
  for (const auto& [name, index] : taken) bytes += source.tensors()[index].bytes;
  CHECK(bytes <= source.contents(), source.path(), ": holds ", source.contents(),
        " bytes of elements, but a ", what, " has ", bytes,
        "; the file does not hold such a network");
  TensorFile file;
  file.metadata = source.metadata();
  for (const auto& [name, index] : taken) {
    if (name.ends_with(kCount)) {
      file.tensors.emplace_back(name, source.tensor(index));
      continue;
    }
    Tensor tensor = source.real_tensor(index);
    const auto values = tensor.span<float>();
    const auto odd = std::ranges::find_if(values, [](float v) { return !std::isfinite(v); });
    CHECK(odd == values.end(), source.path(), ": tensor \"", source.tensors()[index].name,
          "\" holds ", std::isnan(*odd) ? "NaN" : "an infinite value", " (element ",
          odd - values.begin(),
          "); a network with it computes nothing: take a checkpoint from "
          "before it went wrong");
    file.tensors.emplace_back(name, std::move(tensor));
  }
  return file;
}

TensorFile read_network(const TensorSource& source, const FoundNetwork& network, bool with_head) {
  TakenTensors taken = network.tensors;
  if (!with_head) std::erase_if(taken, [](const auto& tensor) { return is_head(tensor.first); });
  return read_taken(source, taken, describe(network));
}

std::string name_in_file(Naming naming, const std::string& name) {
  if (naming == Naming::kDetectron2) return detectron2_backbone_name(name).value_or(name);
  if (naming == Naming::kDetectron2Detector) return detectron2_detector_name(name).value_or(name);
  return name;
}

TensorFile load_network_weights(const std::filesystem::path& path, const std::string& prefix,
                                bool with_head) {
  const std::unique_ptr<TensorSource> source = open_weights(path);
  return read_network(*source, choose_network(*source, prefix), with_head);
}

std::string describe(const FoundNetwork& network) {
  const NetworkConfig& config = network.config;
  std::string text = message(name_of(config.arch), " of width ", config.width);
  if (!network.head) return text + " without a head";
  return message(text, " with ", config.head == HeadKind::kMlp ? "an mlp" : "a linear", " head of ",
                 config.dim);
}

}  // namespace invp
