#include <algorithm>
#include <numeric>
#include <vector>

#include "engine/core/parallel.h"
#include "engine/ops/basic/reduce.h"

namespace invp::cpu {

void sum_forward(const Tensor& x, double scale, const Tensor& y) {
  constexpr std::int64_t kBlock = 16384;
  dispatch_floating(x.dtype(), "sum", [&]<class T>(T) {
    const T* const values = x.data<T>();
    std::vector<double> partial(static_cast<std::size_t>((x.numel() + kBlock - 1) / kBlock));
    parallel_for(0, std::ssize(partial), 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t block = begin; block < end; ++block) {
        const std::int64_t last = std::min(x.numel(), (block + 1) * kBlock);
        double total = 0;
#pragma omp simd reduction(+ : total)
        for (std::int64_t i = block * kBlock; i < last; ++i) total += static_cast<float>(values[i]);
        partial[static_cast<std::size_t>(block)] = total;
      }
    });
    *y.data<float>() =
        static_cast<float>(scale * std::accumulate(partial.begin(), partial.end(), 0.0));
  });
}

void sum_backward(const Tensor& dy, double scale, const Tensor& dx) {
  dispatch_floating(dx.dtype(), "sum", [&]<class T>(T) {
    const T value(static_cast<float>(scale * *dy.data<float>()));
    parallel_for(0, dx.numel(), 16384, [&](std::int64_t begin, std::int64_t end) {
      std::fill(dx.data<T>() + begin, dx.data<T>() + end, value);
    });
  });
}

}  // namespace invp::cpu
