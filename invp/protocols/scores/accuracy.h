// Top-1 and top-5 accuracy and the mean of the classes' accuracies, counted batch by batch.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/core/tensor.h"

namespace invp {

class Accuracy {
 public:
  explicit Accuracy(std::int64_t classes);

  /// logits (B, C) f32 on any device, labels (B) in [0, C). Of equal logits the lower class comes
  /// first. A label whose logit is NaN comes last, other NaN logits come before it. Throws Error
  /// for shapes and labels that do not fit.
  void add(const Tensor& logits, std::span<const std::int64_t> labels);

  /// Adds what the other ranks have counted; a collective call.
  void add_up(Communicator& ranks);

  std::int64_t images() const { return images_; }
  /// Per cent of the images; 0 if there are none.
  double top1() const;
  double top5() const;
  /// The mean of the top-1 accuracies of the classes that have an image, in per cent; 0 if none
  /// has. The released code counts the others as 0, which would call a split that lacks half of
  /// the classes half as good.
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
