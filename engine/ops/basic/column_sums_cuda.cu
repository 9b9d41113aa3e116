// Column sums on the GPU. Rows are cut into stripes; a block sums a few columns of its stripe; the
// stripes' sums are summed in the same way. The cut and the order follow from the shape alone. Sums
// are double, which costs memory-bound kernels no time.
#include "engine/core/cuda_launch.cuh"
#include "engine/ops/basic/matmul.h"

namespace invp::cuda {

namespace {

constexpr int kThreads = 256;
constexpr std::int64_t kStripe = 1024;  // rows

/// Threads of a block along a row: each row of a block is at least a cache line (128 bytes), or 32
/// elements where they go one by one.
template <int Lanes>
constexpr int kAcross = Lanes == 1 ? 32 : 8;

/// partial[s, j] = sum of x[i, j] over stripe s; a block takes stripe blockIdx.x.
template <class T, int Lanes, class Sum>
__global__ void sum_stripes(const T* x, std::int64_t rows, std::int64_t columns, Sum* partial) {
  constexpr int kDown = kThreads / kAcross<Lanes>;
  __shared__ double sums[kThreads][Lanes];
  const int across = static_cast<int>(threadIdx.x) % kAcross<Lanes>;
  const int down = static_cast<int>(threadIdx.x) / kAcross<Lanes>;
  const std::int64_t column =
      (static_cast<std::int64_t>(blockIdx.y) * kAcross<Lanes> + across) * Lanes;
  const std::int64_t begin = static_cast<std::int64_t>(blockIdx.x) * kStripe;
  const std::int64_t end = begin + kStripe < rows ? begin + kStripe : rows;

  double mine[Lanes] = {};
  if (column < columns) {
#pragma unroll 4
    for (std::int64_t i = begin + down; i < end; i += kDown) {
      const auto in = *reinterpret_cast<const Pack<T, Lanes>*>(x + i * columns + column);
#pragma unroll
      for (int l = 0; l < Lanes; ++l) {
        if constexpr (std::is_same_v<T, double>) {
          mine[l] += in.lane[l];
        } else {
          mine[l] += static_cast<float>(in.lane[l]);
        }
      }
    }
  }
  for (int l = 0; l < Lanes; ++l) sums[threadIdx.x][l] = mine[l];
  for (int half = kDown / 2; half > 0; half /= 2) {
    __syncthreads();
    if (down >= half) continue;
    for (int l = 0; l < Lanes; ++l) {
      sums[threadIdx.x][l] += sums[threadIdx.x + half * kAcross<Lanes>][l];
    }
  }
  if (down > 0 || column >= columns) return;
  for (int l = 0; l < Lanes; ++l) {
    partial[blockIdx.x * columns + column + l] = static_cast<Sum>(sums[threadIdx.x][l]);
  }
}

template <class T, class Sum>
void launch_stripes(const Context& gpu, const T* x, std::int64_t rows, std::int64_t stripes,
                    std::int64_t columns, Sum* partial) {
  const auto run = [&]<int Lanes>(std::integral_constant<int, Lanes>) {
    constexpr std::int64_t kColumns = kAcross<Lanes> * Lanes;
    launch(gpu,
           {.blocks = dim3(static_cast<unsigned>(stripes),
                           static_cast<unsigned>((columns + kColumns - 1) / kColumns)),
            .threads = dim3(kThreads)},
           sum_stripes<T, Lanes, Sum>, x, rows, columns, partial);
  };
  if (columns % kPackLanes<T> == 0 && reinterpret_cast<std::uintptr_t>(x) % 16 == 0) {
    run(std::integral_constant<int, kPackLanes<T>>());
  } else {
    run(std::integral_constant<int, 1>());
  }
}

template <class T>
void sum_rows(const Context& gpu, const T* x, std::int64_t rows, std::int64_t columns, float* y) {
  const std::int64_t stripes = (rows + kStripe - 1) / kStripe;
  if (stripes == 1) return launch_stripes(gpu, x, rows, stripes, columns, y);
  const MemoryScope scope(MemoryUse::kWorkspace);
  const Tensor scratch = Tensor::empty(
      {stripes * columns * static_cast<std::int64_t>(sizeof(double))}, DType::kU8, gpu.device());
  auto* const partial = static_cast<double*>(scratch.raw());
  launch_stripes(gpu, x, rows, stripes, columns, partial);
  sum_rows(gpu, partial, stripes, columns, y);
}

}  // namespace

void column_sums(const Tensor& x, const Tensor& y) {
  if (x.numel() == 0) return y.zero();
  dispatch_floating(x.dtype(), "column_sums", [&]<class T>(T) {
    sum_rows(context(x.device()), x.data<T>(), x.dim(0), x.dim(1), y.data<float>());
  });
}

}  // namespace invp::cuda
