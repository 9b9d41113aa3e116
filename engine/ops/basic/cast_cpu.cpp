#include "engine/core/elementwise_cpu.h"
#include "engine/ops/basic/cast.h"

namespace invp::cpu {

void cast(const Tensor& x, const Tensor& y) {
  const auto same = [](float value) { return value; };
  dispatch_floating(x.dtype(), "cast", [&]<class From>(From) {
    dispatch_floating(y.dtype(), "cast", [&]<class To>(To) { map_as<To, From>(same, y, x); });
  });
}

}  // namespace invp::cpu
