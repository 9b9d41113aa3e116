#include "invp/method/neighbor_graph.h"

#include <algorithm>

namespace invp {

namespace {

void check_rows(const Tensor& rows) {
  CHECK(rows.rank() == 2 && rows.dtype() == DType::kI32 && rows.dim(1) >= 1,
        "[graph] must be i32 of shape (n, k), got ", rows.dtype(), " ", rows.shape());
  const Tensor host = rows.to(kCpu);
  for (const std::int32_t neighbor : host.span<std::int32_t>()) {
    CHECK(neighbor >= -1 && neighbor < rows.dim(0), "[graph] neighbor ", neighbor,
          " is neither -1 (unset) nor one of the ", rows.dim(0), " images");
  }
}

}  // namespace

NeighborGraph::NeighborGraph(std::int64_t images, std::int64_t neighbors, Device device) {
  CHECK(images >= 1 && neighbors >= 1, "[graph] needs at least one image and one neighbor, got ",
        images, " and ", neighbors);
  const MemoryScope scope(MemoryUse::kBank);
  const Tensor unset = Tensor::empty({images, neighbors}, DType::kI32);
  std::ranges::fill(unset.span<std::int32_t>(), -1);
  rows_ = unset.to(device);
}

NeighborGraph::NeighborGraph(Tensor rows) : rows_(std::move(rows)) {
  check_rows(rows_);
}

void NeighborGraph::set_rows(const Tensor& rows) {
  CHECK(rows.shape() == rows_.shape(), "[graph] is ", rows_.shape(), ", got ", rows.shape());
  check_rows(rows);
  rows_.copy_from(rows.to(device()));
}

Tensor NeighborGraph::reached_from(const Tensor& images, int steps, Propagation propagation) const {
  return propagate(rows_, images, steps, propagation);
}

void NeighborGraph::update(const Tensor& images, const Tensor& neighbors, const Tensor& halted) {
  set_neighbors(rows_, images, neighbors, halted);
}

}  // namespace invp
