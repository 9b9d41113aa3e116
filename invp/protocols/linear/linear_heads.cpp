#include "invp/protocols/linear/linear_heads.h"

#include <algorithm>
#include <cmath>

#include "engine/core/layout.h"
#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/ops/basic/matmul.h"
#include "engine/ops/norm/batch_norm.h"

namespace invp {

namespace {

/// Tensors of networks are numbered from 0; those of heads from here on.
constexpr std::uint64_t kFirstNumber = std::uint64_t{1} << 32;

/// Fills by blocks with streams of their own, as layers/init.h does.
template <class Draw>
Tensor drawn(const Shape& shape, std::uint64_t seed, std::uint64_t number, const Draw& draw) {
  constexpr std::int64_t kBlock = 4096;
  const MemoryScope scope(MemoryUse::kParameters);
  const Tensor tensor = Tensor::empty(shape);
  const std::span<float> values = tensor.span<float>();
  const auto blocks = (std::ssize(values) + kBlock - 1) / kBlock;
  parallel_for(0, blocks, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t block = begin; block < end; ++block) {
      Random random(seed, Purpose::kInitialisation, static_cast<std::uint64_t>(block), number);
      const std::int64_t last = std::min(std::ssize(values), (block + 1) * kBlock);
      for (std::int64_t i = block * kBlock; i < last; ++i)
        values[static_cast<std::size_t>(i)] = static_cast<float>(draw(random));
    }
  });
  return tensor;
}

Tensor filled(std::int64_t count, float value) {
  const MemoryScope scope(MemoryUse::kParameters);
  return Tensor::full({count}, value);
}

/// (.., grid, grid, channels) -> (.., channels, grid, grid), all but the first dimension flat; and
/// back.
Tensor reordered(const Tensor& x, const TapLayer& layer, bool to_torch) {
  const std::int64_t rows = x.rank() == 2 ? x.dim(0) : 1;
  const Tensor host = x.to(kCpu);
  const Tensor y = to_torch
                       ? channels_first(host.view({rows, layer.grid, layer.grid, layer.channels}))
                       : channels_last(host.view({rows, layer.channels, layer.grid, layer.grid}));
  return y.view(x.shape());
}

/// "tap16.norm.bias" -> whether it has an entry an input.
bool lies_on_inputs(const std::string& name) {
  return !name.ends_with(".bias") || name.ends_with("norm.bias");
}

}  // namespace

const std::vector<std::pair<std::string, HeadInit>>& all_head_inits() {
  static const std::vector<std::pair<std::string, HeadInit>> all = {
      {"small", HeadInit::kSmall}, {"fan-out", HeadInit::kFanOut}, {"torch", HeadInit::kTorch}};
  return all;
}

LinearHead::LinearHead(const TapLayer& layer, const LinearHeadsConfig& config) {
  constexpr double kSmall = 0.01;
  const std::int64_t outputs = config.outputs;
  const std::int64_t inputs = layer.dims();
  const double bound = 1 / std::sqrt(static_cast<double>(inputs));
  const double deviation =
      config.init == HeadInit::kFanOut ? std::sqrt(2 / static_cast<double>(outputs)) : kSmall;
  const bool uniform = config.init == HeadInit::kTorch;
  const auto number = kFirstNumber + 2 * static_cast<std::uint64_t>(layer.tap);
  const auto draw = [&](Random& random) {
    return uniform ? random.uniform(-bound, bound) : deviation * random.normal();
  };
  weight_ = add_parameter("weight", drawn({outputs, inputs}, config.seed, number, draw));
  bias_ = add_parameter(
      "bias", uniform ? drawn({outputs}, config.seed, number + 1, draw) : filled(outputs, 0));
  if (!config.norm) return;
  scale_ = add_parameter("norm.weight", filled(inputs, 1));
  shift_ = add_parameter("norm.bias", filled(inputs, 0));
  mean_ = add_buffer("norm.running_mean", filled(inputs, 0));
  variance_ = add_buffer("norm.running_var", filled(inputs, 1));
}

Tensor LinearHead::forward(const Tensor& x) const {
  if (!scale_.defined()) return linear(x, weight_, bias_);
  return linear(batch_norm(x, scale_, shift_, mean_, variance_, {.training = false}), weight_,
                bias_);
}

LinearHeads::LinearHeads(std::vector<TapLayer> layers, const LinearHeadsConfig& config)
    : layers_(std::move(layers)) {
  CHECK(!layers_.empty(), "[linear] no tap to classify from");
  for (const TapLayer& layer : layers_) {
    heads_.push_back(std::make_unique<LinearHead>(layer, config));
    add_child(message("tap", layer.tap), *heads_.back());
  }
}

std::vector<Sgd::Group> LinearHeads::groups(const SgdHyper& hyper) const {
  std::vector<Sgd::Group> groups;
  for (std::size_t k = 0; k < heads_.size(); ++k) {
    Sgd::Group group{.parameters = {}, .hyper = hyper};
    for (const NamedTensor& item : heads_[k]->parameters())
      group.parameters.push_back({message("tap", layers_[k].tap, ".", item.name), item.tensor});
    groups.push_back(std::move(group));
  }
  return groups;
}

TensorFile LinearHeads::to_file() const {
  TensorFile file;
  for (std::size_t k = 0; k < heads_.size(); ++k) {
    for (const NamedTensor& item : heads_[k]->state()) {
      const std::string name = message("tap", layers_[k].tap, ".", item.name);
      file.tensors.emplace_back(
          name, lies_on_inputs(name) ? reordered(item.tensor, layers_[k], true) : item.tensor);
    }
  }
  return file;
}

void LinearHeads::from_file(const TensorFile& file, const std::string& origin) {
  std::vector<NamedTensor> ours;
  for (const auto& item : file.tensors) {
    const std::string& name = item.first;
    const Tensor& tensor = item.second;
    const auto layer = std::ranges::find_if(layers_, [&](const TapLayer& candidate) {
      return name.starts_with(message("tap", candidate.tap, "."));
    });
    const bool fits = layer != layers_.end() && tensor.rank() >= 1 && lies_on_inputs(name) &&
                      tensor.dim(tensor.rank() - 1) == layer->dims();
    ours.push_back({name, fits ? reordered(tensor, *layer, false) : tensor});
  }
  load_state(*this, ours, origin);
}

}  // namespace invp
