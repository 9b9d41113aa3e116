#include "layers/in_groups.h"

#include <algorithm>
#include <numeric>

#include "engine/autograd/node.h"
#include "engine/ops/basic/cast.h"
#include "engine/ops/groups/tree_sum.h"

namespace invp {

namespace {

/// Calls body(0) to body(groups - 1). Afterwards the running statistics are what they were after
/// body(0), and the network has counted one batch.
void keep_first_statistics(ResNet& network, std::size_t groups,
                           const std::function<void(std::size_t group)>& body) {
  const std::vector<NamedTensor> statistics = network.buffers();
  const std::int64_t batches = network.batches_tracked();
  std::vector<Tensor> of_first;
  for (std::size_t group = 0; group < groups; ++group) {
    body(group);
    if (group > 0 || groups == 1) continue;
    for (const NamedTensor& item : statistics) of_first.push_back(item.tensor.clone());
  }
  for (std::size_t i = 0; i < of_first.size(); ++i) statistics[i].tensor.copy_from(of_first[i]);
  network.set_batches_tracked(batches + 1);
}

/// Where a group's rows begin.
std::int64_t first_row(const std::vector<std::int64_t>& counts, std::size_t group) {
  return std::accumulate(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(group),
                         std::int64_t{0});
}

/// Rows of a group, of one row per image.
Tensor of_group(const Tensor& all, const std::vector<std::int64_t>& counts, std::size_t group) {
  const std::int64_t first = first_row(counts, group);
  return all.slice(first, first + counts[group]);
}

/// Sums over groups of the gradients of some leaves.
class GradientSums {
 public:
  GradientSums(std::vector<Tensor> leaves, DType wire)
      : leaves_(std::move(leaves)), sums_(leaves_.size(), TreeSum(wire)) {}

  /// Takes what they have as a group's.
  void take() {
    const MemoryScope scope(MemoryUse::kGradients);
    for (std::size_t i = 0; i < leaves_.size(); ++i) {
      Tensor gradient = leaves_[i].grad();
      leaves_[i].set_grad({});
      sums_[i].add(gradient.defined()
                       ? std::move(gradient)
                       : Tensor::zeros(leaves_[i].shape(), DType::kF32, leaves_[i].device()));
    }
  }
  void set() {
    for (std::size_t i = 0; i < leaves_.size(); ++i) leaves_[i].set_grad(sums_[i].total());
  }

 private:
  std::vector<Tensor> leaves_;
  std::vector<TreeSum> sums_;
};

void learn_apart(ResNet& network, const std::vector<Tensor>& leaves, bool trunk_learns,
                 const GroupedImages& batch, const GroupBody& body, DType wire) {
  GradientSums sums(leaves, wire);
  keep_first_statistics(network, batch.counts.size(), [&](std::size_t group) {
    Tensor features;
    if (batch.counts[group] > 0) {
      const GradMode mode(trunk_learns && grad_enabled());
      features = network.features(of_group(batch.images, batch.counts, group));
    }
    body(group, std::move(features));
    sums.take();
  });
  sums.set();
}

MapGroups maps_of(const ResNet& network, const GroupNorms& norms, const GroupedImages& batch) {
  // Of a process without images no value is computed from the size.
  const bool none =
      std::ranges::all_of(batch.counts, [](std::int64_t count) { return count == 0; });
  const std::int64_t size = none ? 1 : batch.images.dim(1);
  MapGroups maps{.norms = norms};
  for (const std::int64_t count : batch.counts) maps.sizes.push_back({count, size, size});
  maps.rows = none ? Tensor::empty({0, 3}, DType::kF32, network.device())
                   : batch.images.view({rows_of(maps.sizes), 3});
  const std::int64_t last = last_map(network.config().arch, static_cast<int>(size));
  CHECK(none || !network.training() || batch.seen * last * last >= 2,
        "[batch norm] one image alone cannot be normalized (the network's last map is one pixel); "
        "give another --batch-size or larger images");
  return maps;
}

/// The leaves that belong to the head: its layers come after the features.
std::vector<Tensor> of_head(ResNet& network, const std::vector<Tensor>& leaves) {
  std::vector<Tensor> head;
  for (Linear* const layer : {network.head().hidden(), &network.head().last()}) {
    if (layer == nullptr) continue;
    for (const NamedTensor& item : layer->parameters()) {
      if (std::ranges::any_of(leaves,
                              [&](const Tensor& leaf) { return leaf.same_as(item.tensor); }))
        head.push_back(item.tensor);
    }
  }
  return head;
}

/// The groups go through the trunk together, and through the head one by one.
void learn_together(ResNet& network, const std::vector<Tensor>& leaves, bool trunk_learns,
                    const GroupNorms& norms, const GroupedImages& batch, const GroupBody& body) {
  Tensor features;
  {
    const GradMode mode(trunk_learns && grad_enabled());
    features = network.features(maps_of(network, norms, batch));
  }
  const Tensor seed = Tensor::zeros(features.shape(), DType::kF32, features.device());
  GradientSums sums(of_head(network, leaves), DType::kF32);
  for (std::size_t group = 0; group < batch.counts.size(); ++group) {
    Tensor start;
    if (batch.counts[group] > 0)
      start = of_group(features.detach(), batch.counts, group).set_requires_grad(trunk_learns);
    body(group, start);
    sums.take();
    if (trunk_learns && start.defined() && start.grad().defined())
      of_group(seed, batch.counts, group).copy_from(start.grad());
  }
  sums.set();
  if (trunk_learns) backward(std::move(features), seed);
}

void zero_gradients(const std::vector<Tensor>& leaves) {
  const MemoryScope scope(MemoryUse::kGradients);
  for (const Tensor& leaf : leaves)
    leaf.set_grad(Tensor::zeros(leaf.shape(), DType::kF32, leaf.device()));
}

}  // namespace

const char* name_of(NormSharing sharing) {
  for (const auto& [name, other] : all_norm_sharings()) {
    if (other == sharing) return name.c_str();
  }
  return "?";
}

const std::vector<std::pair<std::string, NormSharing>>& all_norm_sharings() {
  static const std::vector<std::pair<std::string, NormSharing>> sharings = {
      {"local", NormSharing::kLocal}, {"sync", NormSharing::kSync}, {"naive", NormSharing::kNaive}};
  return sharings;
}

std::int64_t SharedNorms::images(std::span<const std::int64_t> of_ranks) const {
  const int sharing = norms.ranks == nullptr ? 1 : norms.ranks->ranks().size;
  const auto mine =
      of_ranks.subspan(static_cast<std::size_t>(first_rank), static_cast<std::size_t>(sharing));
  return std::accumulate(mine.begin(), mine.end(), std::int64_t{0});
}

std::optional<SharedNorms> shared_norms(NormSharing sharing, int groups,
                                        const std::shared_ptr<Communicator>& ranks) {
  const Ranks who = ranks->ranks();
  const int per_group = std::max(1, who.size / groups);
  if (sharing == NormSharing::kLocal) {
    if (per_group == 1) return std::nullopt;
    const int group = who.rank / per_group;
    return SharedNorms{.norms = {.sharing = NormSharing::kSync,
                                 .ranks = groups == 1 ? ranks : ranks->split(group),
                                 .ranks_per_group = per_group},
                       .first_rank = group * per_group};
  }
  if (groups == 1 && who.size == 1) return std::nullopt;
  return SharedNorms{.norms = {.sharing = sharing,
                               .ranks = who.size == 1 ? nullptr : ranks,
                               .ranks_per_group = per_group}};
}

Tensor outputs_in_groups(ResNet& network, const std::optional<SharedNorms>& shared,
                         const GroupedImages& batch) {
  const NoGrad no_grad;
  const std::int64_t images =
      std::accumulate(batch.counts.begin(), batch.counts.end(), std::int64_t{0});
  const Tensor outputs =
      Tensor::empty({images, network.config().dim}, DType::kF32, network.device());
  const auto put = [&](std::size_t group, const Tensor& features) {
    if (batch.counts[group] > 0)
      of_group(outputs, batch.counts, group).copy_from(network.outputs(features));
  };
  learn_in_groups(network, {}, false, shared, batch, put);
  return outputs;
}

void learn_in_groups(ResNet& network, const std::vector<Tensor>& leaves, bool trunk_learns,
                     const std::optional<SharedNorms>& shared, const GroupedImages& batch,
                     const GroupBody& body, DType wire) {
  if (!shared) return learn_apart(network, leaves, trunk_learns, batch, body, wire);
  if (batch.seen > 0)
    return learn_together(network, leaves, trunk_learns, shared->norms, batch, body);
  // None of those who share the norms has an image.
  for (std::size_t group = 0; group < batch.counts.size(); ++group) body(group, {});
  zero_gradients(leaves);
  network.set_batches_tracked(network.batches_tracked() + 1);
}

void sum_gradients_of_groups(const std::vector<Tensor>& leaves, std::size_t groups,
                             const std::function<void(std::size_t group)>& body, DType wire) {
  GradientSums sums(leaves, wire);
  for (std::size_t group = 0; group < groups; ++group) {
    body(group);
    sums.take();
  }
  sums.set();
}

// One call for all of them: they go through one flat tensor, each at a multiple of 64 bytes.
void sum_gradients_over_ranks(Communicator& ranks, const std::vector<Tensor>& leaves, DType wire) {
  if (ranks.alone() || leaves.empty()) return;
  constexpr std::int64_t kAligned = 16;
  const auto room = [](const Tensor& leaf) {
    return (leaf.numel() + kAligned - 1) / kAligned * kAligned;
  };
  std::int64_t total = 0;
  for (const Tensor& leaf : leaves) total += room(leaf);
  const MemoryScope scope(MemoryUse::kGradients);
  const Tensor flat = Tensor::zeros({total}, DType::kF32, leaves.front().device());
  std::int64_t next = 0;
  for (const Tensor& leaf : leaves) {
    const Tensor part = flat.slice(next, next + leaf.numel()).view(leaf.shape());
    part.copy_from(leaf.grad());
    leaf.set_grad(part);
    next += room(leaf);
  }
  if (wire == DType::kF32) return ranks.all_reduce("gradients", flat);
  const Tensor narrow = Tensor::empty(flat.shape(), wire, flat.device());
  DISPATCH(flat.device(), cast, flat, narrow);
  ranks.all_reduce("gradients", narrow);
  DISPATCH(flat.device(), cast, narrow, flat);
}

const std::vector<std::pair<std::string, DType>>& all_wires() {
  static const std::vector<std::pair<std::string, DType>> wires = {{"fp32", DType::kF32},
                                                                   {"bf16", DType::kBF16}};
  return wires;
}

void share_statistics(Communicator& ranks, const Module& network) {
  for (const NamedTensor& item : network.buffers())
    ranks.broadcast("running statistics", item.tensor, 0);
}

}  // namespace invp
