// How well a classifier does: top-1, top-5 and the mean over classes of their accuracies, counted
// batch by batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/core/tensor.h"

namespace invp {

class Accuracy {
 public:
  explicit Accuracy(std::int64_t classes);

  /// logits (B, C), on any device; labels in [0, C). Of equal logits the lower class comes first;
  /// against NaN every comparison is lost. Throws Error for shapes and labels that do not fit.
  void add(const Tensor& logits, std::span<const std::int64_t> labels);

  std::int64_t images() const { return images_; }
  /// Per cent of the images; 0 of none.
  double top1() const;
  double top5() const;
  /// Per cent: for each class its own top-1 accuracy, then the plain mean over all classes. A class
  /// without an image counts as 0, as in the released code.
  double mean_per_class() const;

 private:
  struct Class {
    std::int64_t images = 0;
    std::int64_t right = 0;
  };
  std::vector<Class> classes_;
  std::int64_t images_ = 0;
  std::int64_t among_five_ = 0;
};

}  // namespace invp
