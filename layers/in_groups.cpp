#include "layers/in_groups.h"

#include <utility>

#include "engine/ops/groups/tree_sum.h"

namespace invp {

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
  std::vector<TreeSum> sums(leaves.size());
  in_groups(network, groups, [&](std::size_t group) {
    body(group);
    const MemoryScope scope(MemoryUse::kGradients);
    for (std::size_t i = 0; i < leaves.size(); ++i) {
      Tensor gradient = leaves[i].grad();
      leaves[i].set_grad({});
      sums[i].add(gradient.defined()
                      ? std::move(gradient)
                      : Tensor::zeros(leaves[i].shape(), DType::kF32, leaves[i].device()));
    }
  });
  for (std::size_t i = 0; i < leaves.size(); ++i) leaves[i].set_grad(sums[i].total());
}

}  // namespace invp
