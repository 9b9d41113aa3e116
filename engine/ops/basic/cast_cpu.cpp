#include "engine/core/parallel.h"
#include "engine/core/stores_cpu.h"
#include "engine/ops/basic/cast.h"

namespace invp::cpu {

void cast(const Tensor& x, const Tensor& y) {
  constexpr std::int64_t kGrain = 16384;
  const bool streaming = streams(y);
  dispatch_floating(x.dtype(), "cast", [&]<class From>(From) {
    dispatch_floating(y.dtype(), "cast", [&]<class To>(To) {
      parallel_for(0, y.numel(), kGrain, [&](std::int64_t begin, std::int64_t end) {
        const From* const from = x.data<From>();
        write_blocks(y.data<To>(), begin, end, streaming,
                     [from](To* out, std::int64_t first, std::int64_t count) {
#pragma omp simd
                       for (std::int64_t i = 0; i < count; ++i) {
                         put(out[i], static_cast<float>(from[first + i]));
                       }
                     });
        finish_stores(streaming);
      });
    });
  });
}

}  // namespace invp::cpu
