// Purity: how many of the discovered positives have their anchor's class. Labels are needed to
// measure it and are not used to learn.
#pragma once

#include <cstdint>
#include <optional>
#include <span>

#include "engine/comm/communicator.h"
#include "invp/method/memory_bank.h"
#include "invp/method/neighbor_graph.h"
#include "invp/method/objective.h"

namespace invp {

/// Per cent of the members that share their anchor's class.
struct Purity {
  double positives = 0;       ///< of N(i)
  double hard_positives = 0;  ///< of N^h(i)
};

inline constexpr std::int64_t kPurityAnchors = 4096;

/// Counts all pairs (anchor, member). In the released form's lists repeats count each time, and the
/// anchor itself does not count. The anchors are all images, or `most_anchors` spread evenly over
/// them. An anchor's bank row stands in for its embedding. The positives are measured also where
/// they do not teach (epochs up to T, no_invariance). Computed on the bank's device, counted on the
/// host.
///   labels (n): the class of each image, negative if unknown. Images of unknown class do not
///   count, neither as anchors nor as members.
/// Ranks count an anchor each in turn, block by block; a collective call.
/// Returns nothing if no pair is left, or if all known labels are the same. Throws Error if there
/// are not as many labels as images.
std::optional<Purity> positive_purity(const MemoryBank& bank, const NeighborGraph& graph,
                                      const ObjectiveConfig& config,
                                      std::span<const std::int64_t> labels,
                                      std::int64_t most_anchors = kPurityAnchors,
                                      Communicator* ranks = nullptr);

}  // namespace invp
