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

}  // namespace

TensorFile pytorch_state(const Module& module, std::int64_t batches) {
  TensorFile file;
  for (const auto& [name, tensor] : module.state()) {
    file.tensors.emplace_back(name, tensor.rank() == 4 ? channels_first(tensor) : tensor);
    if (!name.ends_with(kAfter)) continue;
    const Tensor count = Tensor::empty({}, DType::kI64);
    *count.data<std::int64_t>() = batches;
    file.tensors.emplace_back(beside(name, kAfter, kCount), count);
  }
  return file;
}

std::optional<std::int64_t> load_pytorch_state(Module& module, const TensorFile& file,
                                               const std::string& origin) {
  std::vector<NamedTensor> state = engine_layout(file);
  const std::optional<std::int64_t> count = take_counts(file, origin, state);
  load_state(module, state, origin);
  return count;
}

void load_pytorch_part(Module& module, const TensorFile& file, const std::string& origin) {
  std::vector<NamedTensor> state = engine_layout(file);
  take_counts(file, origin, state);
  for (const NamedTensor& own : module.state()) {
    const bool there =
        std::ranges::any_of(state, [&](const NamedTensor& item) { return item.name == own.name; });
    if (!there) state.push_back(own);
  }
  load_state(module, state, origin);
}

TensorFile pytorch_state(const ResNet& network) {
  return pytorch_state(network, network.batches_tracked());
}

void load_pytorch_state(ResNet& network, const TensorFile& file, const std::string& origin) {
  const auto count = load_pytorch_state(static_cast<Module&>(network), file, origin);
  network.set_batches_tracked(count.value_or(network.batches_tracked()));
}

void load_pytorch_backbone(ResNet& network, const TensorFile& file, const std::string& origin) {
  std::vector<NamedTensor> state = engine_layout(file);
  std::erase_if(state, [](const NamedTensor& item) { return belongs_to_head(item.name); });
  for (const NamedTensor& item : network.state()) {
    if (belongs_to_head(item.name)) state.push_back(item);
  }
  const std::optional<std::int64_t> count = take_counts(file, origin, state);
  load_state(network, state, origin);
  network.set_batches_tracked(count.value_or(network.batches_tracked()));
}

}  // namespace invp
