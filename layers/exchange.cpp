#include "layers/exchange.h"

#include <algorithm>
#include <set>

#include "engine/core/layout.h"

namespace invp {

namespace {

bool belongs_to_head(std::string_view name) {
  return name.starts_with("fc.");
}

std::vector<NamedTensor> engine_layout(const TensorFile& file) {
  std::vector<NamedTensor> state;
  for (const auto& [name, tensor] : file.tensors) {
    state.push_back({name, tensor.rank() == 4 ? channels_last(tensor) : tensor});
  }
  return state;
}

/// Checkpoints of other tools may lack the counters, which nothing computes with.
void add_missing_counters(const Module& module, std::vector<NamedTensor>& state) {
  std::set<std::string> present;
  for (const NamedTensor& item : state) present.insert(item.name);
  for (const NamedTensor& item : module.buffers()) {
    if (item.name.ends_with("num_batches_tracked") && !present.contains(item.name))
      state.push_back(item);
  }
}

}  // namespace

TensorFile pytorch_state(const Module& module) {
  TensorFile file;
  for (const NamedTensor& item : module.state()) {
    file.tensors.emplace_back(item.name,
                              item.tensor.rank() == 4 ? channels_first(item.tensor) : item.tensor);
  }
  return file;
}

void load_pytorch_state(Module& module, const TensorFile& file, const std::string& origin) {
  std::vector<NamedTensor> state = engine_layout(file);
  add_missing_counters(module, state);
  load_state(module, state, origin);
}

void load_pytorch_backbone(ResNet& network, const TensorFile& file, const std::string& origin) {
  std::vector<NamedTensor> state = engine_layout(file);
  std::erase_if(state, [](const NamedTensor& item) { return belongs_to_head(item.name); });
  for (const NamedTensor& item : network.state()) {
    if (belongs_to_head(item.name)) state.push_back(item);
  }
  add_missing_counters(network, state);
  load_state(network, state, origin);
}

NetworkConfig recognise_network(const TensorFile& file, const std::string& origin) {
  const Tensor* stem = file.find("conv1.weight");
  CHECK(stem != nullptr && stem->rank() == 4, origin,
        ": no 'conv1.weight': not the weights of a ResNet with torchvision's names");
  const auto has = [&](const std::string& name) { return file.find(name) != nullptr; };
  const bool bottlenecks = has("layer1.0.conv3.weight");
  const bool cifar = stem->dim(2) == 3;
  const bool deep = has("layer3.5.conv1.weight");  // six blocks in the third stage
  NetworkConfig config{.width = static_cast<int>(stem->dim(0))};
  if (bottlenecks) {
    config.arch = cifar ? Arch::kResNet50Cifar : Arch::kResNet50;
  } else {
    CHECK(!(cifar && deep), origin,
          ": a ResNet-34 of the CIFAR form is not among the architectures");
    config.arch = cifar ? Arch::kResNet18Cifar : deep ? Arch::kResNet34 : Arch::kResNet18;
  }
  config.head = has("fc.2.weight") ? HeadKind::kMlp : HeadKind::kLinear;
  const Tensor* last = file.find(config.head == HeadKind::kMlp ? "fc.2.weight" : "fc.weight");
  if (last != nullptr && last->rank() == 2) config.dim = static_cast<int>(last->dim(0));
  return config;
}

}  // namespace invp
