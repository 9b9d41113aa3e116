#include "layers/exchange.h"

#include <algorithm>
#include <optional>
#include <utility>

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

constexpr std::string_view kCount = "num_batches_tracked";
constexpr std::string_view kAfter = "running_var";

std::string beside(std::string_view name, std::string_view suffix, std::string_view replacement) {
  return std::string(name.substr(0, name.size() - suffix.size())).append(replacement);
}

/// The file's tensors but for the counts of its norms, of which the largest is returned; none if
/// the file has none.
std::optional<std::int64_t> take_counts(const TensorFile& file, const std::string& origin,
                                        std::vector<NamedTensor>& state) {
  std::optional<std::int64_t> largest;
  std::erase_if(state, [&](const NamedTensor& item) {
    const auto& [name, count] = item;
    if (!name.ends_with(kCount) || file.find(beside(name, kCount, kAfter)) == nullptr) return false;
    CHECK(count.dtype() == DType::kI64 && count.numel() == 1, origin, ": ", name,
          " must be one i64, got ", count.dtype(), count.shape());
    largest = std::max(largest.value_or(0), *count.data<std::int64_t>());
    return true;
  });
  return largest;
}

void load(ResNet& network, const TensorFile& file, std::vector<NamedTensor> state,
          const std::string& origin) {
  const std::optional<std::int64_t> count = take_counts(file, origin, state);
  load_state(network, state, origin);
  network.set_batches_tracked(count.value_or(network.batches_tracked()));
}

}  // namespace

TensorFile pytorch_state(const ResNet& network) {
  TensorFile file;
  for (const auto& [name, tensor] : network.state()) {
    file.tensors.emplace_back(name, tensor.rank() == 4 ? channels_first(tensor) : tensor);
    if (!name.ends_with(kAfter)) continue;
    const Tensor count = Tensor::empty({}, DType::kI64);
    *count.data<std::int64_t>() = network.batches_tracked();
    file.tensors.emplace_back(beside(name, kAfter, kCount), count);
  }
  return file;
}

void load_pytorch_state(ResNet& network, const TensorFile& file, const std::string& origin) {
  load(network, file, engine_layout(file), origin);
}

void load_pytorch_backbone(ResNet& network, const TensorFile& file, const std::string& origin) {
  std::vector<NamedTensor> state = engine_layout(file);
  std::erase_if(state, [](const NamedTensor& item) { return belongs_to_head(item.name); });
  for (const NamedTensor& item : network.state()) {
    if (belongs_to_head(item.name)) state.push_back(item);
  }
  load(network, file, std::move(state), origin);
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
