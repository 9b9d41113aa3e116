#include "engine/comm/tree_sum.h"
#include "engine/comm/tree_sum_values.h"
#include "engine/core/cuda_launch.cuh"

namespace invp::cuda {

namespace {

constexpr int kDepth = 32;  // partial sums of up to 2^32 rows

/// The tree of a column, as TreeSum (engine/ops/groups/tree_sum.h) walks it: partial sums of equal
/// size are joined as soon as there are two, what is left over at the end. Added in Exact, every
/// sum rounded to T.
template <class T, class Exact, class Combine>
__global__ void tree_columns(T* rows, std::int64_t count, std::int64_t width) {
  const Combine combine;
  for (std::int64_t i = thread_in_grid(); i < width; i += threads_in_grid()) {
    Exact partial[kDepth];
    int depth = 0;
    for (std::int64_t row = 0; row < count; ++row) {
      Exact value = static_cast<Exact>(rows[row * width + i]);
      for (std::int64_t pairs = row; pairs % 2 == 1; pairs /= 2)
        value = static_cast<Exact>(T(combine(partial[--depth], value)));
      partial[depth++] = value;
    }
    Exact total = partial[--depth];
    while (depth > 0) total = static_cast<Exact>(T(combine(partial[--depth], total)));
    rows[i] = T(total);
  }
}

template <class T, class Exact>
void reduce(const Tensor& blocks, Reduction reduction) {
  const Context& gpu = context(blocks.device());
  const std::int64_t count = blocks.dim(0);
  const std::int64_t width = blocks.numel() / count;
  const auto run = [&](auto* kernel) {
    launch(gpu, grid_for(gpu, width), kernel, blocks.data<T>(), count, width);
  };
  switch (reduction) {
    case Reduction::kSum: return run(tree_columns<T, Exact, Sum<Exact>>);
    case Reduction::kMax: return run(tree_columns<T, Exact, Larger<Exact>>);
    case Reduction::kMin: return run(tree_columns<T, Exact, Smaller<Exact>>);
  }
}

}  // namespace

void tree_rows(const Tensor& blocks, Reduction reduction) {
  switch (blocks.dtype()) {
    case DType::kF32: return reduce<float, float>(blocks, reduction);
    case DType::kF64: return reduce<double, double>(blocks, reduction);
    case DType::kI64: return reduce<std::int64_t, std::int64_t>(blocks, reduction);
    case DType::kBF16: return reduce<BFloat16, float>(blocks, reduction);
    default: return;
  }
}

}  // namespace invp::cuda
