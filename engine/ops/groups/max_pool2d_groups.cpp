#include "engine/ops/groups/max_pool2d_groups.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

MapGroups max_pool2d(const MapGroups& x, const MaxPool2dParams& params) {
  check_floating("max_pool2d", x.rows);
  MapGroups y{.norms = x.norms};
  std::vector<PoolAxes> axes;
  for (const MapSize& size : x.sizes) {
    axes.push_back(pool_axes("max_pool2d", {size.pictures, size.height, size.width, x.channels()},
                             params.kernel, params.stride, params.padding));
    y.sizes.push_back({size.pictures, axes.back().rows.out, axes.back().columns.out});
  }
  const Shape out{rows_of(y.sizes), x.channels()};
  y.rows = Tensor::empty(out, x.rows.dtype(), x.rows.device());
  const Tensor tap = Tensor::empty(out, DType::kU8, x.rows.device());
  for (std::size_t g = 0; g < axes.size(); ++g) {
    if (x.sizes[g].rows() == 0) continue;
    DISPATCH(tap.device(), max_pool2d_forward, axes[g].rows, axes[g].columns, x.map(g), y.map(g),
             y.map_of(tap, g));
  }
  record("max_pool2d_groups", y.rows, {x.rows}, [&] {
    return [axes, tap, x = x.with({}), y = y.with({})](const Tensor& dy, const Needs&) -> Grads {
      const Tensor dx = Tensor::empty({rows_of(x.sizes), dy.dim(1)}, dy.dtype(), dy.device());
      for (std::size_t g = 0; g < axes.size(); ++g) {
        if (x.sizes[g].rows() == 0) continue;
        DISPATCH(dy.device(), max_pool2d_backward, axes[g].rows, axes[g].columns, y.map_of(tap, g),
                 y.map_of(dy, g), x.map_of(dx, g));
      }
      return {dx};
    };
  });
  return y;
}

}  // namespace invp
