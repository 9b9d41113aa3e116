// Feature maps of groups of pictures. A group is what one GPU of a paper held: its pictures are
// padded to one size, other groups have other sizes. Operations compute each group for itself; only
// batch norms look at all of them. So a process with four groups and four processes with one each
// compute the same bits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/core/tensor.h"

namespace invp {

/// How the batch norms of a training pass share their statistics. Of one group all are the ordinary
/// batch norm.
enum class NormSharing : std::uint8_t {
  kLocal,  ///< not at all: each group has its own
  kNaive,  ///< mean and mean of squares of each group, then their plain averages (Detectron2's
           ///< NaiveSyncBatchNorm, and what PyTorch's SyncBatchNorm did up to 1.5)
  kSync,   ///< of all values at once
};

struct GroupNorms {
  NormSharing sharing = NormSharing::kNaive;
  float momentum = 0.1F;  ///< share of the new batch in the running statistics
  /// Not of kLocal: who share the statistics, each with as many groups, in the order of the groups;
  /// null: this process alone. All of them make the same passes over the same network: the calls of
  /// a norm are collective. A rank may have no pictures.
  std::shared_ptr<Communicator> ranks = {};
  /// More than one: so many neighboring ranks share a group, and each has one part of it, which is
  /// "a group" in its process.
  int ranks_per_group = 1;
};

/// The maps of one group.
struct MapSize {
  std::int64_t pictures = 0;
  std::int64_t height = 0;
  std::int64_t width = 0;

  std::int64_t rows() const { return pictures * height * width; }
  friend bool operator==(const MapSize&, const MapSize&) = default;
};

struct MapGroups {
  Tensor rows;  ///< (positions of all groups, C): group after group, each N, H, W. In the graph
  std::vector<MapSize> sizes;
  GroupNorms norms = {};  ///< of the pass that this belongs to
  /// Computes the rows again, to the bit, from what is kept anyway; empty if there is no cheap way.
  /// Who needs them in the backward pass keeps this instead of the rows.
  std::function<Tensor()> again = {};

  std::size_t groups() const { return sizes.size(); }
  std::int64_t channels() const { return rows.dim(1); }

  /// The maps of a group as (N, H, W, C), of any tensor with these rows; shares the elements,
  /// outside the graph.
  Tensor map_of(const Tensor& of, std::size_t group) const {
    std::int64_t first = 0;
    for (std::size_t g = 0; g < group; ++g) first += sizes[g].rows();
    const MapSize& size = sizes[group];
    return of.detach()
        .slice(first, first + size.rows())
        .view({size.pictures, size.height, size.width, of.dim(1)});
  }
  Tensor map(std::size_t group) const { return map_of(rows, group); }

  /// The same places with other values.
  MapGroups with(Tensor values) const {
    return {.rows = std::move(values), .sizes = sizes, .norms = norms};
  }
};

inline std::int64_t rows_of(const std::vector<MapSize>& sizes) {
  std::int64_t rows = 0;
  for (const MapSize& size : sizes) rows += size.rows();
  return rows;
}

}  // namespace invp
