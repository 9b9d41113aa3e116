// One read of x and one write of y after the statistics (batch_norm_statistics_cuda.cu), back to
// front: it begins with what the statistics have left in the cache.
#include "engine/ops/basic/elementwise.h"
#include "engine/ops/norm/batch_norm_cuda.cuh"

namespace invp::cuda {

namespace {

using Fusion = BatchNormFusion;
constexpr int kRows = ChannelTiles::kRows;

template <Fusion fusion, class T, int Lanes>
__global__ void __launch_bounds__(ChannelBlock::kThreads)
    normalize(ChannelTiles tiles, Scaling scaling, const T* x, const T* residual, T* y) {
  const std::int64_t channel = channel_of_thread<Lanes>();
  if (channel >= tiles.channels) return;
  const Affine<Lanes> f(scaling, channel);
  for (std::int64_t unit = blockIdx.x; unit < tiles.units; unit += gridDim.x) {
    const UnitRows<Lanes> rows(tiles, tiles.units - 1 - unit, channel);
    RowPacks<T, Lanes> in;
    RowPacks<T, Lanes> added;
    rows.load(x, in);
    if constexpr (fusion == Fusion::kAddRelu) rows.load(residual, added);
#pragma unroll
    for (int r = 0; r < kRows; ++r) {
      if (r >= rows.count()) break;
      Pack<T, Lanes> out;
#pragma unroll
      for (int l = 0; l < Lanes; ++l) {
        float value = f(l, static_cast<float>(in[r].lane[l]));
        if constexpr (fusion == Fusion::kAddRelu) value += static_cast<float>(added[r].lane[l]);
        if constexpr (fusion != Fusion::kNone) value = Relu::forward(value);
        out.lane[l] = T(value);
      }
      rows.store(y, r, out);
    }
  }
}

}  // namespace

void batch_norm_forward(Fusion fusion, const Tensor& x, const BatchNormScaling& scaling,
                        const Tensor& residual, const Tensor& y) {
  if (x.numel() == 0) return;
  const Context& gpu = context(x.device());
  dispatch_floating(x.dtype(), "batch_norm", [&]<class T>(T) {
    dispatch_fusion(fusion, [&](auto constant) {
      dispatch_lanes<T>(
          x.dim(-1),
          {x, residual, y, scaling.mean, scaling.inverse_std, scaling.gamma, scaling.beta},
          [&](auto lanes) {
            const ChannelTiles tiles(x, lanes);
            launch(gpu, tiles.grid(), normalize<constant, T, lanes>, tiles, Scaling(scaling),
                   x.data<T>(), data_or_null<T>(residual), y.data<T>());
          });
    });
  });
}

}  // namespace invp::cuda
