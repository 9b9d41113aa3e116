#include "engine/ops/loss/contrast.h"

#include "engine/core/checks.h"

namespace invp {

namespace {

void check_lists(const char* name, const Tensor& lists, DType dtype, const ContrastInputs& inputs) {
  CHECK(lists.rank() == 2 && lists.dim(0) == inputs.indices.dim(0) && lists.dtype() == dtype,
        "[contrast] ", name, " must be ", dtype, " of shape (", inputs.indices.dim(0), ", W), got ",
        lists.dtype(), " ", lists.shape());
  CHECK(lists.device() == inputs.indices.device(), "[contrast] ", name, " is on ", lists.device(),
        " but indices are on ", inputs.indices.device());
}

}  // namespace

Contrast contrast(const ContrastInputs& inputs, const ContrastOptions& options) {
  const auto& [background, indices, self, positives, hard, hard_similarities, weight] = inputs;
  CHECK(indices.rank() == 1 && indices.dim(0) >= 1 && indices.dtype() == DType::kI32,
        "[contrast] indices must be i32 of shape (B), B >= 1, got ", indices.dtype(), " ",
        indices.shape());
  check_lists("the background", background.rows, DType::kI32, inputs);
  check_lists("the background's similarity", background.similarities, DType::kF32, inputs);
  check_lists("self", self, DType::kF32, inputs);
  check_lists("positives", positives, DType::kI32, inputs);
  check_lists("hard", hard, DType::kI32, inputs);
  check_lists("hard_similarities", hard_similarities, DType::kF32, inputs);
  CHECK(background.rows.shape() == background.similarities.shape() && background.rows.dim(1) >= 1 &&
            hard.shape() == hard_similarities.shape() && self.dim(1) == 1,
        "[contrast] rows and similarities differ in shape: background ", background.rows.shape(),
        " and ", background.similarities.shape(), ", hard ", hard.shape(), " and ",
        hard_similarities.shape(), ", self ", self.shape());
  CHECK(weight.defined(), "[contrast] no weight is given");
  check_scalar("contrast", indices, "weight", weight, DType::kF32);
  CHECK(options.tau >= 0.01F, "[contrast] tau must be at least 0.01, got ", options.tau);

  const auto make = [device = inputs.indices.device()](const Shape& shape) {
    return Tensor::empty(shape, DType::kF32, device);
  };
  const Contrast out{.means = make({3}),
                     .losses = make({indices.dim(0), 2}),
                     .background_weights = make(background.rows.shape()),
                     .self_weights = make(self.shape()),
                     .hard_weights = make(hard.shape())};
  DISPATCH(indices.device(), contrast, inputs, options, out);
  return out;
}

}  // namespace invp
