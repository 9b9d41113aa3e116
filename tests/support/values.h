// Numbers for tests: oracles work on plain vectors of double, operations on tensors made from them.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/core/random.h"
#include "engine/core/tensor.h"

namespace invp::testing {

using Values = std::vector<double>;

/// n values uniform in [low, high), each exact in bf16 and so in every floating dtype: the oracle
/// and the operation see the same inputs. Ties happen. No value lies within 1e-3 of 0, where relu
/// has its kink.
inline Values random_values(std::uint64_t seed, std::int64_t n, double low = -2, double high = 2) {
  Random random(seed, Purpose::kSynthetic);
  Values values;
  while (std::ssize(values) < n) {
    const double value =
        static_cast<float>(BFloat16(static_cast<float>(random.uniform(low, high))));
    if (value > 1e-3 || value < -1e-3) values.push_back(value);
  }
  return values;
}

/// The values as a tensor of f32 or bf16.
inline Tensor tensor(const Values& values, const Shape& shape, Device device = kCpu,
                     DType dtype = DType::kF32) {
  return dispatch_floating(dtype, "test", [&]<class T>(T) {
    std::vector<T> elements;
    elements.reserve(values.size());
    for (const double value : values) elements.push_back(T(static_cast<float>(value)));
    return Tensor::from(elements, shape, device);
  });
}

/// The same, as an f32 leaf of the graph: backward() leaves its gradient in grad().
inline Tensor leaf(const Values& values, const Shape& shape, Device device = kCpu) {
  return tensor(values, shape, device).set_requires_grad(true);
}

/// The elements of a floating tensor, wherever it lives.
inline Values values_of(const Tensor& x) {
  const Tensor host = x.to(kCpu);
  return dispatch_floating(x.dtype(), "test", [&]<class T>(T) {
    Values values;
    for (const T element : host.span<T>()) values.push_back(static_cast<float>(element));
    return values;
  });
}

}  // namespace invp::testing
