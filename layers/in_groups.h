// A network that learns from a batch in groups, as from the shares of several GPUs: a batch norm
// sees one group, the running statistics are those of the first one, and the gradients of all are
// added in a fixed tree (engine/ops/groups/tree_sum.h).
#pragma once

#include <functional>
#include <vector>

#include "engine/comm/communicator.h"
#include "layers/resnet.h"

namespace invp {

/// Calls body(0) to body(groups - 1), each of which may pass a group through the network.
/// Afterwards the running statistics are what they were after body(0), and the network has counted
/// one batch.
void in_groups(ResNet& network, std::size_t groups,
               const std::function<void(std::size_t group)>& body);

/// The same, each call being a backward pass too. Afterwards the gradient of each of `leaves` is
/// the sum over the groups. A call that leaves no gradients, of an empty group, adds zeros: so bits
/// do not depend on who computes which groups.
void sum_gradients_in_groups(ResNet& network, const std::vector<Tensor>& leaves, std::size_t groups,
                             const std::function<void(std::size_t group)>& body);

/// The same of what has no running statistics to keep.
void sum_gradients_of_groups(const std::vector<Tensor>& leaves, std::size_t groups,
                             const std::function<void(std::size_t group)>& body);

/// Afterwards the gradient of each of `leaves` is the sum over the ranks, which is the upper part
/// of that tree where each rank has the same number of groups, a power of two. All of them have
/// gradients.
void sum_gradients_over_ranks(Communicator& ranks, const std::vector<Tensor>& leaves);

/// Gives all ranks the running statistics of rank 0, which has the first group.
void share_statistics(Communicator& ranks, const Module& network);

}  // namespace invp
