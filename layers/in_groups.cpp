#include "layers/in_groups.h"

#include <utility>

#include "engine/ops/groups/tree_sum.h"

namespace invp {

namespace {

/// The gradients of leaves, taken from them group by group.
class GroupGradients {
 public:
  explicit GroupGradients(const std::vector<Tensor>& leaves)
      : leaves_(leaves), sums_(leaves.size()) {}

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
  void give_back() {
    for (std::size_t i = 0; i < leaves_.size(); ++i) leaves_[i].set_grad(sums_[i].total());
  }

 private:
  const std::vector<Tensor>& leaves_;
  std::vector<TreeSum> sums_;
};

}  // namespace

void in_groups(ResNet& network, std::size_t groups,
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

void sum_gradients_in_groups(ResNet& network, const std::vector<Tensor>& leaves, std::size_t groups,
                             const std::function<void(std::size_t group)>& body) {
  GroupGradients gradients(leaves);
  in_groups(network, groups, [&](std::size_t group) {
    body(group);
    gradients.take();
  });
  gradients.give_back();
}

void sum_gradients_of_groups(const std::vector<Tensor>& leaves, std::size_t groups,
                             const std::function<void(std::size_t group)>& body) {
  GroupGradients gradients(leaves);
  for (std::size_t group = 0; group < groups; ++group) {
    body(group);
    gradients.take();
  }
  gradients.give_back();
}

// One call for all of them: they go through one flat tensor, each at a multiple of 64 bytes.
void sum_gradients_over_ranks(Communicator& ranks, const std::vector<Tensor>& leaves) {
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
  ranks.all_reduce("gradients", flat);
}

void share_statistics(Communicator& ranks, const Module& network) {
  for (const NamedTensor& item : network.buffers())
    ranks.broadcast("running statistics", item.tensor, 0);
}

}  // namespace invp
