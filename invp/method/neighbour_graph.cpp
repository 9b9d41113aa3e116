#include "invp/method/neighbour_graph.h"

#include <algorithm>

#include "engine/ops/search/neighbour_graph.h"

namespace invp {

NeighbourGraph::NeighbourGraph(std::int64_t images, std::int64_t neighbors, Device device) {
  CHECK(images >= 1 && neighbors >= 1, "[graph] needs at least one image and one neighbour, got ",
        images, " and ", neighbors);
  const MemoryScope scope(MemoryUse::kBank);
  const Tensor unset = Tensor::empty({images, neighbors}, DType::kI32);
  std::ranges::fill(unset.span<std::int32_t>(), -1);
  rows_ = unset.to(device);
}

NeighbourGraph::NeighbourGraph(Tensor rows) : rows_(std::move(rows)) {
  CHECK(rows_.rank() == 2 && rows_.dtype() == DType::kI32 && rows_.dim(1) >= 1,
        "[graph] must be i32 of shape (n, k), got ", rows_.dtype(), " ", rows_.shape());
  const Tensor host = rows_.to(kCpu);
  for (const std::int32_t neighbour : host.span<std::int32_t>()) {
    CHECK(neighbour >= -1 && neighbour < size(), "[graph] neighbour ", neighbour,
          " is neither -1 (unset) nor one of the ", size(), " images");
  }
}

void NeighbourGraph::update(const Tensor& indices, const Tensor& neighbors, const Tensor& halted) {
  set_neighbours(rows_, indices, neighbors, halted);
}

}  // namespace invp
