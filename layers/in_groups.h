// A network that learns from a batch in groups, as from the shares of several GPUs: the gradients
// of all groups are added in a fixed tree (engine/ops/groups/tree_sum.h). A batch norm sees one
// group, and the running statistics are those of the first one; or norms share statistics, among
// the groups of a process and among ranks (GroupNorms), and the groups go through the network
// together.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/comm/communicator.h"
#include "layers/resnet.h"

namespace invp {

const char* name_of(NormSharing sharing);
/// "local", "sync", "naive", for the command line.
const std::vector<std::pair<std::string, NormSharing>>& all_norm_sharings();

/// How this rank's norms share statistics.
struct SharedNorms {
  GroupNorms norms;
  int first_rank = 0;  ///< of those who share them, among all ranks

  /// Their images, of so many on each rank.
  std::int64_t images(std::span<const std::int64_t> of_ranks) const;
};
/// Nothing where every norm sees one group, and this process has all of it. `groups` is a multiple
/// of the number of ranks, or that of `groups`. A collective call.
std::optional<SharedNorms> shared_norms(NormSharing sharing, int groups,
                                        const std::shared_ptr<Communicator>& ranks);

/// Images of this process, group after group.
struct GroupedImages {
  Tensor images;                     ///< (n, S, S, 3); may be undefined where n is 0
  std::vector<std::int64_t> counts;  ///< of each group
  std::int64_t seen = 0;             ///< SharedNorms::images, where norms are shared
};

/// The network's outputs (n, dim) f32 in its mode, without gradient. Counts one batch. If norms are
/// shared, a collective call.
Tensor outputs_in_groups(ResNet& network, const std::optional<SharedNorms>& shared,
                         const GroupedImages& batch);

/// Gets the features (ResNet::features) of a group, or nothing for an empty one. What it passes
/// back from them are the group's gradients.
using GroupBody = std::function<void(std::size_t group, Tensor features)>;

/// Calls body for each group, in order. Afterwards the gradient of each of `leaves` is the sum over
/// the groups; an empty group adds zeros, so bits do not depend on who computes which groups. The
/// network has counted one batch. wire: the form of TreeSum; kBF16 is for norms that see one group.
/// trunk_learns: false if all leaves are the head's. If norms are
/// shared, a collective call, which makes the same exchanges on all ranks whatever body does.
/// Throws Error where the norms see a single value.
void learn_in_groups(ResNet& network, const std::vector<Tensor>& leaves, bool trunk_learns,
                     const std::optional<SharedNorms>& shared, const GroupedImages& batch,
                     const GroupBody& body, DType wire = DType::kF32);

/// Calls body for each group, in order, which passes back through what has no norms. Afterwards the
/// gradient of each of `leaves` is the sum over the groups; a group that leaves none adds zeros.
void sum_gradients_of_groups(const std::vector<Tensor>& leaves, std::size_t groups,
                             const std::function<void(std::size_t group)>& body,
                             DType wire = DType::kF32);

/// Afterwards the gradient of each of `leaves` is the sum over the ranks, which is the upper part
/// of that tree where each rank has the same number of groups, a power of two. All of them have
/// gradients. With wire kBF16 they travel in 16 bits, and each sum of two is rounded to that.
void sum_gradients_over_ranks(Communicator& ranks, const std::vector<Tensor>& leaves,
                              DType wire = DType::kF32);

/// What gradients travel in between ranks: "fp32", "bf16", for the command line.
const std::vector<std::pair<std::string, DType>>& all_wires();

/// Gives all ranks the running statistics of rank 0, which has the first group.
void share_statistics(Communicator& ranks, const Module& network);

}  // namespace invp
