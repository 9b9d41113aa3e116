// The kNN graph of InvP: for every training image the k images nearest to it, as of its last visit
// (paper, section 3.1).
#pragma once

#include <cstdint>

#include "engine/core/tensor.h"

namespace invp {

class NeighborGraph {
 public:
  /// No image has been visited: every row is unset (-1) and contributes no positives.
  NeighborGraph(std::int64_t images, std::int64_t neighbors, Device device = kCpu);
  /// Rows made elsewhere, (n, k) i32 on any device, shared and not copied. Throws for entries
  /// outside [-1, n).
  explicit NeighborGraph(Tensor rows);

  const Tensor& rows() const { return rows_; }
  std::int64_t size() const { return rows_.dim(0); }
  std::int64_t neighbors() const { return rows_.dim(1); }

  /// Row indices[i] <- row i of `neighbors` (b, k) i32. Not where `halted`, one i32, is given and
  /// not 0.
  void update(const Tensor& indices, const Tensor& neighbors, const Tensor& halted = {});

 private:
  Tensor rows_;
};

}  // namespace invp
