#include "engine/ops/groups/conv2d_groups.h"

#include <utility>

#include "engine/autograd/node.h"
#include "engine/core/checks.h"
#include "engine/ops/groups/tree_sum.h"

namespace invp {

namespace {

/// The convolution of each group.
std::vector<Conv2dShape> shapes_of(const MapGroups& x, const Tensor& w, const Tensor& b,
                                   const Conv2dParams& params) {
  CHECK(x.rows.dtype() == w.dtype(), "[conv2d] images are ", x.rows.dtype(), ", weights ",
        w.dtype());
  check_same_device("conv2d", x.rows, "the weights", w);
  std::vector<Conv2dShape> shapes;
  for (const MapSize& size : x.sizes) {
    const Shape map{size.pictures, size.height, size.width, x.channels()};
    shapes.push_back(conv2d_shape(map, w.shape(), params));
  }
  CHECK(!b.defined() || b.shape() == Shape{w.dim(0)}, "[conv2d] bias must be (", w.dim(0),
        "), got ", b.shape());
  return shapes;
}

/// The maps that come out, without rows.
MapGroups places_of(const MapGroups& x, const std::vector<Conv2dShape>& shapes) {
  MapGroups y{.norms = x.norms};
  for (const Conv2dShape& s : shapes) y.sizes.push_back({s.N, s.P, s.Q});
  return y;
}

/// What the forward pass keeps.
struct Kept {
  std::vector<Conv2dShape> shapes;
  MapGroups x;  ///< without rows if no filter needs a gradient, or if they are computed again
  MapGroups y;  ///< without rows
  Tensor w;

  Grads gradients(const Tensor& dy, const Needs& needs) {
    Grads grads(3);
    if (needs[1] || needs[2]) filter_gradients(dy, needs[2], grads);
    if (needs[0]) grads[0] = input_gradient(dy);
    return grads;
  }

 private:
  void filter_gradients(const Tensor& dy, bool with_bias, Grads& grads) {
    TreeSum dw, db;
    if (x.again) x.rows = std::exchange(x.again, {})();
    for (std::size_t g = 0; g < shapes.size(); ++g) {
      const MemoryScope scope(MemoryUse::kGradients);
      Tensor of_w = Tensor::empty_like(w);
      Tensor of_b = with_bias ? Tensor::empty({w.dim(0)}, DType::kF32, w.device()) : Tensor();
      DISPATCH(w.device(), conv2d_backward_weight, shapes[g], y.map_of(dy, g), x.map(g), of_w,
               of_b);
      dw.add(std::move(of_w));
      if (with_bias) db.add(std::move(of_b));
    }
    x.rows = {};  // freed before dx is allocated
    grads[1] = dw.total();
    grads[2] = db.total();
  }

  Tensor input_gradient(const Tensor& dy) const {
    const Tensor dx = Tensor::empty({rows_of(x.sizes), w.dim(3) * shapes.front().params.groups},
                                    dy.dtype(), dy.device());
    for (std::size_t g = 0; g < shapes.size(); ++g) {
      DISPATCH(w.device(), conv2d_backward_input, shapes[g], y.map_of(dy, g), w, x.map_of(dx, g));
    }
    return dx;
  }
};

}  // namespace

MapGroups conv2d(const MapGroups& x, const Tensor& w, const Tensor& b, const Conv2dParams& params) {
  const std::vector<Conv2dShape> shapes = shapes_of(x, w, b, params);
  MapGroups y = places_of(x, shapes);
  y.rows = Tensor::empty({rows_of(y.sizes), w.dim(0)}, x.rows.dtype(), x.rows.device());
  for (std::size_t g = 0; g < shapes.size(); ++g)
    DISPATCH(w.device(), conv2d_forward, shapes[g], x.map(g), w, b, y.map(g), Conv2dFusion{});
  record("conv2d_groups", y.rows, {x.rows, w, b}, [&] {
    const bool for_filters = wants_gradient(w) || wants_gradient(b);
    MapGroups images = x.with(for_filters && !x.again ? x.rows.detach() : Tensor());
    if (for_filters) images.again = x.again;
    return
        [kept = Kept{.shapes = shapes, .x = std::move(images), .y = y.with({}), .w = w.detach()}](
            const Tensor& dy, const Needs& needs) mutable { return kept.gradients(dy, needs); };
  });
  return y;
}

MapGroups conv2d_fused(const MapGroups& x, const Tensor& w, Conv2dEpilogue epilogue,
                       const Conv2dParams& params) {
  CHECK(!grad_enabled(), "[conv2d_fused] has no backward pass: use conv2d, or NoGrad");
  const std::vector<Conv2dShape> shapes = shapes_of(x, w, epilogue.b, params);
  MapGroups y = places_of(x, shapes);
  const Shape out{rows_of(y.sizes), w.dim(0)};
  const bool add = epilogue.residual.defined();
  CHECK(!add || (epilogue.residual.shape() == out && epilogue.residual.dtype() == x.rows.dtype()),
        "[conv2d_fused] residual must be ", x.rows.dtype(), out);
  // The kernel adds to what y holds.
  y.rows = !add                         ? Tensor::empty(out, x.rows.dtype(), x.rows.device())
           : epilogue.residual.unique() ? std::move(epilogue.residual)
                                        : epilogue.residual.clone();
  for (std::size_t g = 0; g < shapes.size(); ++g) {
    DISPATCH(w.device(), conv2d_forward, shapes[g], x.map(g), w, epilogue.b, y.map(g),
             (Conv2dFusion{.add = add, .relu = epilogue.relu}));
  }
  return y;
}

}  // namespace invp
