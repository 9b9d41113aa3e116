#include "invp/run/same_on_ranks.h"

#include "engine/comm/gather.h"
#include "engine/core/hash.h"

namespace invp {

void check_same_on_ranks(Communicator& ranks, const char* what,
                         const std::vector<Tensor>& tensors) {
  if (ranks.alone()) return;
  Hash hash;
  for (const Tensor& tensor : tensors) {
    const Tensor here = tensor.detach().to(kCpu);
    hash.add_bytes(here.raw(), here.nbytes());
  }
  const std::vector<std::int64_t> all =
      gather_numbers(ranks, what, static_cast<std::int64_t>(hash.value()));
  for (std::size_t rank = 1; rank < all.size(); ++rank) {
    CHECK(all[rank] == all[0], "rank ", rank, " has other ", what,
          " than rank 0: a fault of memory or of this program; resume from the last checkpoint");
  }
}

}  // namespace invp
