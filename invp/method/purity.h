// How right the discovered positives are, where labels are known: they are not used to learn, only
// to look.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "invp/method/memory_bank.h"
#include "invp/method/neighbor_graph.h"
#include "invp/method/objective.h"

namespace invp {

/// Per cent of the members that share their anchor's class.
struct Purity {
  double positives = 0;       ///< of N(i)
  double hard_positives = 0;  ///< of N^h(i)
};

/// Over all pairs (anchor, member), repeats counted each time and the anchor itself left out (the
/// released form has both). Anchors are all images, or `most_anchors` spread evenly over them. The
/// sets are those of bank and graph as they stand; an image's similarities are those of its own
/// bank row, which stands in for an embedding. They are the same sets while they do not teach yet
/// (epochs up to T) and with no_invariance. Computed on the bank's device, counted on the host.
///   labels (n): the class of each image; a negative one is unknown, and such images are left out
///   on either side.
/// Nothing when no pair is left, and when all labels that are known are one. Throws Error for
/// another number of labels than images.
std::optional<Purity> positive_purity(const MemoryBank& bank, const NeighborGraph& graph,
                                      const ObjectiveConfig& config,
                                      std::span<const std::int64_t> labels,
                                      std::int64_t most_anchors = 4096);

}  // namespace invp
