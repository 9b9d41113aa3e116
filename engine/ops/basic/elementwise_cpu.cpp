#include "engine/core/elementwise_cpu.h"

#include "engine/ops/basic/elementwise.h"

namespace invp::cpu {

void relu_forward(const Tensor& x, const Tensor& y) {
  map<Relu::forward>("relu", y, x);
}

void relu_backward(const Tensor& y, const Tensor& dy, const Tensor& dx) {
  map<Relu::backward>("relu", dx, y, dy);
}

void add_forward(const Tensor& a, const Tensor& b, const Tensor& y) {
  map<Add::forward>("add", y, a, b);
}

}  // namespace invp::cpu
