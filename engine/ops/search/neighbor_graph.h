// Walks and choices on a kNN graph over the rows of a bank: `graph` (N, K) i32, row i holding the
// rows nearest to i, -1 where there is none. Lists are (B, W) i32, a shorter one filled up with -1.
// Not differentiable. All throw for other shapes and dtypes.
#pragma once

#include "engine/core/dispatch.h"
#include "engine/core/tensor.h"

namespace invp {

/// How the positives of a row are gathered (InvP, section 3.1, and the authors' code).
enum class Propagation : std::uint8_t {
  kDistinct,  ///< breadth first: every other row within `steps` edges, once, in the order of
              ///< discovery
  kRepeated,  ///< the multiset of K, then K^2, then K^3 ... neighbors of neighbors, in this
              ///< order; may hold the row itself
};

/// The rows reached from each of `indices` (B) i32 in 1 to `steps` edges: (B, K + K^2 + ... +
/// K^steps). Throws if that is more than 2^20 columns.
Tensor propagate(const Tensor& graph, const Tensor& indices, int steps, Propagation propagation);

/// Which of the positives enter the loss (InvP, section 3.2).
enum class PositiveChoice : std::uint8_t { kLeastSimilar, kMostSimilar, kAll };

/// `count` entries of every list, chosen by their similarity (B, W) f32, of equals the earlier; all
/// entries if there are no more. In the order of the list. (B, min(count, W)), or (B, W) for kAll.
Tensor choose_positives(const Tensor& positives, const Tensor& similarities, std::int64_t count,
                        PositiveChoice choice);

/// The new graph rows of `indices` (B) from their most similar rows (B, M), at least K + 1 of them
/// unless the bank has fewer: the K + 1 best by similarity, then row, without the index itself, or
/// without the last where the index is not among them. In descending similarity; with
/// `replace_in_place`, as in the authors' code, the last takes the place of the index.
Tensor nearest_neighbors(const Tensor& rows, const Tensor& similarities, const Tensor& indices,
                         std::int64_t neighbors, bool replace_in_place);

/// graph[indices[i]] = neighbors[i], i = 0, 1, ... in this order. Nothing happens where `halted`,
/// one i32, is given and not 0.
void set_neighbors(const Tensor& graph, const Tensor& indices, const Tensor& neighbors,
                   const Tensor& halted = {});

KERNEL(propagate, const Tensor& graph, const Tensor& indices, int steps, Propagation propagation,
       const Tensor& positives);
KERNEL(choose_positives, const Tensor& positives, const Tensor& similarities, PositiveChoice choice,
       const Tensor& chosen);
KERNEL(nearest_neighbors, const Tensor& rows, const Tensor& similarities, const Tensor& indices,
       bool replace_in_place, const Tensor& neighbors);
KERNEL(set_neighbors, const Tensor& graph, const Tensor& indices, const Tensor& neighbors,
       const Tensor& halted);

}  // namespace invp
