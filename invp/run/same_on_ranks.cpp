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
  check_alike(ranks, what, hash.value());
}

}  // namespace invp
