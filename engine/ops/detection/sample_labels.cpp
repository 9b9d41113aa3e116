#include "engine/ops/detection/sample_labels.h"

#include <limits>

#include "engine/ops/detection/match_boxes.h"

namespace invp {

Samples sample_labels(const Tensor& labels, const SampleParams& params) {
  CHECK(labels.rank() == 2 && labels.dtype() == DType::kI32,
        "[sample_labels] labels must be i32 of shape (B, n), got ", labels.dtype(), " ",
        labels.shape());
  CHECK(params.most_positives >= 0 && params.count >= params.most_positives &&
            params.count <= std::numeric_limits<std::int32_t>::max(),
        "[sample_labels] cannot draw ", params.count, " rows with up to ", params.most_positives,
        " positives");
  const std::int64_t pictures = labels.dim(0);
  const Samples samples{Tensor::empty({pictures, params.count}, DType::kI32, labels.device()),
                        Tensor::empty({pictures, 2}, DType::kI32, labels.device()),
                        Tensor::empty_like(labels)};
  DISPATCH(labels.device(), sample_labels, labels, params, samples);
  return samples;
}

}  // namespace invp
