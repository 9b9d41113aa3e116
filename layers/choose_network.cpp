#include <algorithm>
#include <map>
#include <string_view>

#include "engine/core/text.h"
#include "layers/detectron2_input.h"
#include "layers/find_network.h"

namespace invp {
namespace {

/// Two networks of one architecture that a training method keeps side by side: names of parts of
/// their prefixes. The first is what the project itself evaluates.
struct Twins {
  std::string_view taken;
  std::string_view passed_over;
};
constexpr Twins kTwins[] = {
    {"encoder_q", "encoder_k"},            // MoCo v1 and v2, DenseCL, OpenSelfSup
    {"backbone", "encoder_k"},             // MMSelfSup's MoCo
    {"base_encoder", "momentum_encoder"},  // MoCo v3
    {"backbone", "momentum_backbone"},     // solo-learn
    {"backbone", "backbone_momentum"},     // lightly
    {"online_encoder", "target_encoder"},  // BYOL
    {"online_network", "target_network"},  // BYOL
    {"online_network_state_dict", "target_network_state_dict"},  // BYOL
    {"online_net", "target_net"},                                // OpenSelfSup's BYOL
    {"backbone", "target_net"},                                  // MMSelfSup's BYOL
    {"backbone", "target_encoder"},                              // MMPretrain
    {"teacher", "student"},  // DINO: the average is what it evaluates
};

bool has_part(const FoundNetwork& network, std::string_view part) {
  const std::string parts = '.' + network.prefix;
  return parts.find('.' + std::string(part) + '.') != std::string::npos;
}

/// Removes what stands behind a twin.
void pass_over_twins(std::vector<FoundNetwork>& networks) {
  const std::vector<FoundNetwork> all = networks;
  std::erase_if(networks, [&](const FoundNetwork& network) {
    return std::ranges::any_of(kTwins, [&](const Twins& twins) {
      return has_part(network, twins.passed_over) &&
             std::ranges::any_of(all, [&](const FoundNetwork& other) {
               return has_part(other, twins.taken) && !has_part(other, twins.passed_over);
             });
    });
  });
}

bool is_head(std::string_view name) {
  return name.starts_with("fc.");
}

/// The same values in every tensor of the backbone?
bool are_equal(const TensorSource& source, const FoundNetwork& a, const FoundNetwork& b) {
  const std::map<std::string, std::size_t> others(b.tensors.begin(), b.tensors.end());
  return std::ranges::all_of(a.tensors, [&](const auto& tensor) {
    const auto other = others.find(tensor.first);
    if (is_head(tensor.first) || other == others.end()) return true;
    const StoredTensor& left = source.tensors()[tensor.second];
    const StoredTensor& right = source.tensors()[other->second];
    return left.type == right.type && left.extents == right.extents &&
           source.bytes(tensor.second) == source.bytes(other->second);
  });
}

/// Of equal networks only one stays: the first, or the first that has a head.
void keep_different(const TensorSource& source, std::vector<FoundNetwork>& networks) {
  std::ranges::stable_sort(networks, std::greater(), &FoundNetwork::head);
  std::vector<FoundNetwork> different;
  for (FoundNetwork& network : networks) {
    const bool known = std::ranges::any_of(different, [&](const FoundNetwork& other) {
      return network.config.arch == other.config.arch &&
             network.config.width == other.config.width && are_equal(source, other, network);
    });
    if (!known) different.push_back(std::move(network));
  }
  networks = std::move(different);
}

std::string prefixes_of(const std::vector<FoundNetwork>& networks) {
  std::vector<std::string> names;
  for (const FoundNetwork& network : networks) names.push_back('"' + network.prefix + '"');
  constexpr std::size_t kShown = 8;
  if (names.size() > kShown) {
    names.resize(kShown);
    names.emplace_back("...");
  }
  return joined(names);
}

/// Where the tensors stand, by the first two parts of their names: "state_dict.module. (122)".
std::string groups_of(const TensorSource& source) {
  std::vector<std::pair<std::string, int>> groups;
  for (const StoredTensor& tensor : source.tensors()) {
    const std::size_t first = tensor.name.find('.');
    const std::size_t second =
        first == std::string::npos ? first : tensor.name.find('.', first + 1);
    const std::size_t end = second == std::string::npos ? first : second;
    const std::string group =
        end == std::string::npos ? tensor.name : tensor.name.substr(0, end + 1);
    const auto found = std::ranges::find(groups, group, &std::pair<std::string, int>::first);
    if (found != groups.end()) {
      ++found->second;
    } else if (groups.size() < 100) {
      groups.emplace_back(group, 1);
    }
  }
  std::ranges::stable_sort(groups, std::greater(), &std::pair<std::string, int>::second);
  constexpr std::size_t kShown = 6;
  std::vector<std::string> names;
  for (std::size_t i = 0; i < std::min(kShown, groups.size()); ++i)
    names.push_back(message('"', groups[i].first, "\" (", groups[i].second, ')'));
  if (groups.size() > kShown) names.emplace_back("...");
  return names.empty() ? "no tensors" : "tensors under " + joined(names);
}

void keep_named(std::vector<FoundNetwork>& networks, std::string prefix, const std::string& file) {
  if (!prefix.ends_with('.')) prefix += '.';
  const std::vector<FoundNetwork> all = networks;
  const auto exact = std::ranges::count(all, prefix, &FoundNetwork::prefix);
  std::erase_if(networks, [&](const FoundNetwork& network) {
    if (exact > 0) return network.prefix != prefix;
    return !('.' + network.prefix).ends_with('.' + prefix);
  });
  CHECK(!networks.empty(), file, ": no network under --weights-prefix ", prefix, "; there are ",
        prefixes_of(all));
}

[[noreturn]] void fail_without(const TensorSource& source, const std::vector<std::string>& misses) {
  const std::string& file = source.path();
  const std::string unread =
      source.left_out().empty() ? "" : "; not readable is " + source.left_out().front();
  if (!misses.empty())
    fail(file, ": the network in it is none that is built here: ", misses.front(), unread);
  refuse_caffe2(source);
  fail(file,
       ": no ResNet with torchvision's names ('conv1.weight', 'layer1.0.conv1.weight') or "
       "detectron2's ('stem.conv1.weight', 'res2.0.conv1.weight') in it, but ",
       groups_of(source), unread);
}

}  // namespace

FoundNetwork choose_network(const TensorSource& source, const std::string& prefix) {
  std::vector<std::string> misses;
  std::vector<FoundNetwork> networks = find_networks(source.tensors(), &misses);
  if (networks.empty()) fail_without(source, misses);
  return choose_among(source, std::move(networks), prefix);
}

FoundNetwork choose_among(const TensorSource& source, std::vector<FoundNetwork> networks,
                          const std::string& prefix) {
  const std::vector<FoundNetwork> all = networks;
  if (!prefix.empty()) {
    keep_named(networks, prefix, source.path());
  } else {
    pass_over_twins(networks);
  }
  if (networks.size() > 1) keep_different(source, networks);
  CHECK(networks.size() == 1, source.path(), ": ", networks.size(), " networks fit, under ",
        prefixes_of(networks), "; say which by --weights-prefix NAME.");
  std::vector<FoundNetwork> others;
  for (const FoundNetwork& network : all) {
    if (network.prefix != networks.front().prefix) others.push_back(network);
  }
  if (!others.empty()) networks.front().instead_of = prefixes_of(others);
  check_input(source, networks.front());
  return std::move(networks.front());
}

}  // namespace invp
