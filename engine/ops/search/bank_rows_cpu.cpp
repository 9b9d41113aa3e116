#include <algorithm>
#include <cmath>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/search/bank_rows.h"

namespace invp::cpu {

namespace {

/// Rows are scattered over a bank far larger than the caches: this many are prefetched.
constexpr std::int64_t kAhead = 8;

template <class T>
void prefetch_row(const T* row, std::int64_t dim) {
  constexpr std::int64_t kLine = 64 / sizeof(T);
  for (std::int64_t k = 0; k < dim; k += kLine) __builtin_prefetch(row + k);
}

template <class T>
float dot(const float* query, const T* row, std::int64_t dim) {
  float sum = 0;
#pragma omp simd reduction(+ : sum)
  for (std::int64_t k = 0; k < dim; ++k) sum += query[k] * static_cast<float>(row[k]);
  return sum;
}

/// Calls body(w, row) for every row of a list that is there, and prefetches the rows to come.
template <class T, class Body>
void for_each_row(const T* bank, std::int64_t dim, const std::int32_t* rows, std::int64_t width,
                  const Body& body) {
  for (std::int64_t w = 0; w < width; ++w) {
    if (w + kAhead < width && rows[w + kAhead] >= 0) {
      prefetch_row(bank + rows[w + kAhead] * dim, dim);
    }
    if (rows[w] >= 0) body(w, bank + rows[w] * dim);
  }
}

}  // namespace

void row_similarities(const Tensor& queries, const Tensor& bank, const Tensor& rows,
                      const Tensor& similarities) {
  const std::int64_t dim = bank.dim(1);
  const std::int64_t width = rows.dim(1);
  similarities.zero();
  dispatch_floating(bank.dtype(), "row_similarities", [&]<class T>(T) {
    parallel_for(0, rows.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        const float* query = queries.data<float>() + i * dim;
        float* out = similarities.data<float>() + i * width;
        for_each_row(bank.data<T>(), dim, rows.data<std::int32_t>() + i * width, width,
                     [&](std::int64_t w, const T* row) { out[w] = dot(query, row, dim); });
      }
    });
  });
}

void add_weighted_rows(const Tensor& total, const Tensor& bank, const Tensor& rows,
                       const Tensor& weights) {
  const std::int64_t dim = bank.dim(1);
  const std::int64_t width = rows.dim(1);
  dispatch_floating(bank.dtype(), "add_weighted_rows", [&]<class T>(T) {
    parallel_for(0, rows.dim(0), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) {
        float* sum = total.data<float>() + i * dim;
        const float* weight = weights.data<float>() + i * width;
        for_each_row(bank.data<T>(), dim, rows.data<std::int32_t>() + i * width, width,
                     [&](std::int64_t w, const T* row) {
                       const float factor = weight[w];
#pragma omp simd
                       for (std::int64_t k = 0; k < dim; ++k) {
                         sum[k] += factor * static_cast<float>(row[k]);
                       }
                     });
      }
    });
  });
}

// One after another, as in the contract: a batch is a few hundred rows.
void blend_rows(const Tensor& bank, const Tensor& indices, const Tensor& values, float momentum,
                const Tensor& halted) {
  if (halted.defined() && *halted.data<std::int32_t>() != 0) return;
  constexpr double kShortest = 1e-12;
  const std::int64_t dim = bank.dim(1);
  std::vector<float> blended(static_cast<std::size_t>(dim));
  dispatch_floating(bank.dtype(), "blend_rows", [&]<class T>(T) {
    for (std::int64_t i = 0; i < indices.dim(0); ++i) {
      const std::int32_t index = indices.data<std::int32_t>()[i];
      if (index < 0) continue;
      T* row = bank.data<T>() + index * dim;
      const float* value = values.data<float>() + i * dim;
      double squares = 0;
      for (std::int64_t k = 0; k < dim; ++k) {
        const float mixed = momentum * static_cast<float>(row[k]) + (1 - momentum) * value[k];
        blended[static_cast<std::size_t>(k)] = mixed;
        squares += static_cast<double>(mixed) * mixed;
      }
      const auto scale = static_cast<float>(1 / std::max(std::sqrt(squares), kShortest));
      for (std::int64_t k = 0; k < dim; ++k)
        row[k] = T(scale * blended[static_cast<std::size_t>(k)]);
    }
  });
}

void take_rows(const Tensor& bank, const Tensor& indices, const Tensor& taken) {
  const std::int64_t dim = bank.dim(1);
  taken.zero();
  dispatch_floating(bank.dtype(), "take_rows", [&]<class T>(T) {
    for (std::int64_t i = 0; i < indices.dim(0); ++i) {
      const std::int32_t index = indices.data<std::int32_t>()[i];
      if (index < 0) continue;
      const T* row = bank.data<T>() + index * dim;
      std::transform(row, row + dim, taken.data<float>() + i * dim,
                     [](T element) { return static_cast<float>(element); });
    }
  });
}

}  // namespace invp::cpu
