// Made-up inputs of benchmarks.
#pragma once

#include <cmath>

#include "engine/autograd/node.h"
#include "engine/core/parallel.h"
#include "engine/core/random.h"
#include "engine/core/tensor.h"

namespace invp::cli {

/// Uniform in [-1, 1), row i a function of (seed, salt, i) alone.
inline Tensor random_tensor(const Shape& shape, std::uint64_t seed, std::uint64_t salt) {
  const Tensor tensor = Tensor::empty(shape);
  const std::int64_t rows = shape.rank() == 0 ? 1 : shape[0];
  const std::int64_t columns = rows == 0 ? 0 : shape.numel() / rows;
  parallel_for(0, rows, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      Random random(seed, Purpose::kBenchmark, salt, static_cast<std::uint64_t>(row));
      float* values = tensor.data<float>() + row * columns;
      for (std::int64_t i = 0; i < columns; ++i)
        values[i] = static_cast<float>(random.bits()) * 0x1p-31F - 1;
    }
  });
  return tensor;
}

/// Rows of length 1 in random directions: what embeddings look like.
inline Tensor random_directions(std::int64_t rows, std::int64_t dim, std::uint64_t seed,
                                std::uint64_t salt) {
  const Tensor tensor = random_tensor({rows, dim}, seed, salt);
  parallel_for(0, rows, 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row) {
      float* values = tensor.data<float>() + row * dim;
      double squares = 0;
      for (std::int64_t i = 0; i < dim; ++i)
        squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
      const auto scale = static_cast<float>(1 / std::sqrt(std::max(squares, 1e-30)));
      for (std::int64_t i = 0; i < dim; ++i) values[i] *= scale;
    }
  });
  return tensor;
}

/// x as if an operation had made it: its gradient is computed and then dropped, in any dtype.
inline Tensor as_input(const Tensor& x) {
  Tensor leaf = Tensor::zeros({});
  leaf.set_requires_grad(true);
  return record("input", x.detach(), {leaf},
                [] { return [](const Tensor&, const Needs&) -> Grads { return {Tensor()}; }; });
}

}  // namespace invp::cli
