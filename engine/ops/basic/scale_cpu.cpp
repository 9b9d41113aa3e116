#include "engine/core/elementwise_cpu.h"
#include "engine/ops/basic/scale.h"

namespace invp::cpu {

void scale(const Tensor& x, const Tensor& factor, const Tensor& y) {
  const float times = *factor.data<float>();
  map_as<float, float>([times](float value) { return times * value; }, y, x);
}

}  // namespace invp::cpu
