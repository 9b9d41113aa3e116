#include "engine/autograd/accumulate.h"
#include "engine/core/elementwise_cpu.h"

namespace invp::cpu {

void accumulate(const Tensor& total, const Tensor& x) {
  const auto plus = [](float a, float b) { return a + b; };
  dispatch_floating(total.dtype(), "accumulate", [&]<class Total>(Total) {
    dispatch_floating(x.dtype(), "accumulate",
                      [&]<class X>(X) { map_as<Total, Total, X>(plus, total, total, x); });
  });
}

}  // namespace invp::cpu
