// The kNN graph of InvP: for every training image the k images nearest to it, as of its last visit
// (paper, section 3.1), and the questions that the method asks of it.
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"
#include "engine/ops/search/neighbor_graph.h"

namespace invp {

/// Arguments and answers are i32 tensors on the graph's device. Throws Error for other shapes and
/// dtypes.
class NeighborGraph {
 public:
  /// No image has been visited: every row is unset (-1) and contributes no positives.
  NeighborGraph(std::int64_t images, std::int64_t neighbors, Device device = kCpu);
  /// Rows made elsewhere, (n, k) i32 on any device, shared and not copied. Throws for entries
  /// outside [-1, n).
  explicit NeighborGraph(Tensor rows);

  std::int64_t size() const { return rows_.dim(0); }
  std::int64_t neighbors() const { return rows_.dim(1); }
  Device device() const { return rows_.device(); }

  /// The images within 1 to `steps` edges of each of `images` (b): (b, k + k^2 + ... + k^steps), a
  /// shorter list filled up with -1, in the order that `propagation` says.
  Tensor reached_from(const Tensor& images, int steps, Propagation propagation) const;

  /// Row images[i] <- row i of `neighbors` (b, k). Does nothing if `halted`, one i32, is given and
  /// not 0.
  void update(const Tensor& images, const Tensor& neighbors, const Tensor& halted = {});

  /// Replaces all rows. Throws for other shapes, and for entries outside [-1, n); nothing has
  /// changed then.
  void set_rows(const Tensor& rows);

  /// (n, k), for checkpoints and tests only.
  const Tensor& rows() const { return rows_; }

 private:
  Tensor rows_;
};

}  // namespace invp
