#include "invp/method/neighbor_graph.h"

#include <algorithm>
#include <vector>

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

/// The nearest images of an image are each there once.
void check_distinct(const Tensor& rows) {
  const auto width = static_cast<std::size_t>(rows.dim(1));
  std::vector<std::int32_t> row(width);
  for (std::int64_t i = 0; i < rows.dim(0); ++i) {
    const auto values =
        rows.span<std::int32_t>().subspan(static_cast<std::size_t>(i) * width, width);
    std::ranges::copy(values, row.begin());
    std::ranges::sort(row);
    const auto twice = std::ranges::adjacent_find(
        row, [](std::int32_t a, std::int32_t b) { return a == b && a != -1; });
    CHECK(twice == row.end(), "[graph] image ", i, " has the neighbor ", *twice, " twice");
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
  check_distinct(rows.to(kCpu));
  rows_.copy_from(rows.to(device()));
}

Tensor NeighborGraph::reached_from(const Tensor& images, int steps, Propagation propagation) const {
  return propagate(rows_, images, steps, propagation);
}

void NeighborGraph::update(const Tensor& images, const Tensor& neighbors, const Tensor& halted) {
  set_neighbors(rows_, images, neighbors, halted);
}

}  // namespace invp
