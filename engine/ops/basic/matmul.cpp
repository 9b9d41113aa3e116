#include "engine/ops/basic/matmul.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"
#include "engine/ops/basic/elementwise.h"

namespace invp {

namespace {

constexpr auto kNo = Transpose::kNo;
constexpr auto kYes = Transpose::kYes;

void check_pair(const char* op, const Tensor& a, const char* b_name, const Tensor& b) {
  check_floating(op, a);
  CHECK(a.dtype() == b.dtype(), "[", op, "] operands are ", a.dtype(), " and ", b.dtype());
  check_same_device(op, a, b_name, b);
}

/// Checks the operands of a linear layer and makes room for its output.
Tensor linear_output(const char* op, const Tensor& x, const Tensor& w, const Tensor& b) {
  CHECK(x.rank() == 2 && w.rank() == 2 && x.dim(1) == w.dim(1), "[", op,
        "] needs x (N, in) and weight (out, in), got ", x.shape(), " and ", w.shape());
  check_pair(op, x, "weight", w);
  if (b.defined()) {
    CHECK(b.shape() == Shape{w.dim(0)} && b.dtype() == DType::kF32, "[", op,
          "] bias must be f32 of shape (", w.dim(0), "), got ", b.dtype(), b.shape());
    check_same_device(op, x, "bias", b);
  }
  return Tensor::empty({x.dim(0), w.dim(0)}, x.dtype(), x.device());
}

/// Gradients of x w^T + b, from the one of its value.
Grads linear_gradients(const Tensor& x, const Tensor& w, const Tensor& dy, const Needs& needs) {
  Grads grads(3);
  if (needs[0]) {
    grads[0] = Tensor::empty_like(x);
    DISPATCH(x.device(), gemm, dy, kNo, w, kNo, Tensor(), grads[0]);
  }
  const MemoryScope scope(MemoryUse::kGradients);
  if (needs[1]) {
    grads[1] = Tensor::empty_like(w);
    DISPATCH(x.device(), gemm, dy, kYes, x, kNo, Tensor(), grads[1]);
  }
  if (needs[2]) {
    grads[2] = Tensor::empty({w.dim(0)}, DType::kF32, x.device());
    DISPATCH(x.device(), column_sums, dy, grads[2]);
  }
  return grads;
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b) {
  CHECK(a.rank() == 2 && b.rank() == 2 && a.dim(1) == b.dim(0),
        "[matmul] needs (M, L) and (L, N), got ", a.shape(), " and ", b.shape());
  check_pair("matmul", a, "b", b);
  const Tensor y = Tensor::empty({a.dim(0), b.dim(1)}, a.dtype(), a.device());
  DISPATCH(a.device(), gemm, a, kNo, b, kNo, Tensor(), y);
  return record("matmul", y, {a, b}, [&] {
    return [a = a.detach(), b = b.detach()](const Tensor& dy, const Needs& needs) {
      Grads grads(2);
      if (needs[0]) {
        grads[0] = Tensor::empty_like(a);
        DISPATCH(a.device(), gemm, dy, kNo, b, kYes, Tensor(), grads[0]);
      }
      if (needs[1]) {
        grads[1] = Tensor::empty_like(b);
        DISPATCH(a.device(), gemm, a, kYes, dy, kNo, Tensor(), grads[1]);
      }
      return grads;
    };
  });
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& b) {
  const Tensor y = linear_output("linear", x, w, b);
  DISPATCH(x.device(), gemm, x, kNo, w, kYes, b, y);
  return record("linear", y, {x, w, b}, [&] {
    return [x = x.detach(), w = w.detach()](const Tensor& dy, const Needs& needs) {
      return linear_gradients(x, w, dy, needs);
    };
  });
}

Tensor linear_relu(const Tensor& x, const Tensor& w, const Tensor& b) {
  const Tensor y = linear_output("linear_relu", x, w, b);
  DISPATCH(x.device(), gemm_relu, x, kNo, w, kYes, b, y);
  return record("linear_relu", y, {x, w, b}, [&] {
    return [x = x.detach(), w = w.detach(), y = y.detach()](const Tensor& dy, const Needs& needs) {
      const Tensor dz = Tensor::empty_like(y);
      DISPATCH(y.device(), relu_backward, y, dy, dz);
      return linear_gradients(x, w, dz, needs);
    };
  });
}

}  // namespace invp
