// What the architectures are called and made of. Without the networks themselves, so that whoever
// looks for one in a file needs nothing of them.
#include "layers/resnet.h"

namespace invp {

bool is_cifar(Arch arch) {
  return arch == Arch::kResNet18Cifar || arch == Arch::kResNet50Cifar;
}
bool has_bottlenecks(Arch arch) {
  return arch == Arch::kResNet50 || arch == Arch::kResNet50Cifar;
}

std::array<int, 4> stage_depths(Arch arch) {
  if (arch == Arch::kResNet18 || arch == Arch::kResNet18Cifar) return {2, 2, 2, 2};
  return {3, 4, 6, 3};
}

const std::vector<std::pair<std::string, Arch>>& all_archs() {
  static const std::vector<std::pair<std::string, Arch>> archs = {
      {"resnet18", Arch::kResNet18},
      {"resnet34", Arch::kResNet34},
      {"resnet50", Arch::kResNet50},
      {"resnet18-cifar", Arch::kResNet18Cifar},
      {"resnet50-cifar", Arch::kResNet50Cifar}};
  return archs;
}

const char* name_of(Arch arch) {
  for (const auto& [name, value] : all_archs()) {
    if (value == arch) return name.c_str();
  }
  return "?";
}

}  // namespace invp
