#include "engine/ops/groups/roi_align_groups.h"

#include "engine/autograd/node.h"
#include "engine/core/checks.h"

namespace invp {

MapGroups roi_align(const MapGroups& x, const GroupBoxes& boxes, const RoiAlignParams& params) {
  CHECK(boxes.boxes.rank() == 2 && boxes.boxes.dim(1) == 5 && boxes.boxes.dtype() == DType::kF32,
        "[roi_align] boxes must be f32 of shape (n, 5), picture and corners, got ",
        boxes.boxes.dtype(), " ", boxes.boxes.shape());
  check_same_device("roi_align", x.rows, "boxes", boxes.boxes);
  CHECK(boxes.counts.size() == x.groups(), "[roi_align] boxes of ", boxes.counts.size(),
        " groups for maps of ", x.groups());
  MapGroups y{.norms = x.norms};
  for (const std::int64_t count : boxes.counts)
    y.sizes.push_back({count, params.rows(), params.columns()});
  CHECK(rows_of(y.sizes) == boxes.boxes.dim(0) * params.rows() * params.columns(),
        "[roi_align] the groups' boxes do not add up to ", boxes.boxes.dim(0));
  y.rows = Tensor::empty({rows_of(y.sizes), x.channels()}, x.rows.dtype(), x.rows.device());
  for (std::size_t g = 0; g < x.groups(); ++g)
    DISPATCH(y.rows.device(), roi_align_forward, params, x.map(g), boxes.of(g), y.map(g));
  record("roi_align_groups", y.rows, {x.rows}, [&] {
    return
        [params, boxes, x = x.with({}), y = y.with({})](const Tensor& dy, const Needs&) -> Grads {
          const Tensor dx = Tensor::empty({rows_of(x.sizes), dy.dim(1)}, dy.dtype(), dy.device());
          for (std::size_t g = 0; g < x.groups(); ++g) {
            DISPATCH(dy.device(), roi_align_backward, params, y.map_of(dy, g), boxes.of(g),
                     x.map_of(dx, g));
          }
          return {dx};
        };
  });
  return y;
}

}  // namespace invp
