#include "engine/comm/call.h"

#include "engine/core/error.h"

namespace invp {

void check_rows(const char* name, std::int64_t numel, const Tensor& in, const Tensor& out,
                int ranks) {
  CHECK(out.numel() == numel && out.dtype() == in.dtype() && out.device() == in.device(), "[", name,
        "] ", in.shape(), " of ", in.dtype(), " into ", out.shape(), " of ", out.dtype(), " on ",
        out.device(), ", ", ranks, " ranks");
}

}  // namespace invp
