// Ten-crop testing: each image of a set becomes ten, its four corners and its centre and the same
// of its mirror image (transform.h: ten_crop).
#pragma once

#include <cstdint>

#include "data/sets/dataset.h"

namespace invp {

class TenCrops final : public Dataset {
 public:
  static constexpr std::int64_t kCrops = 10;

  /// Crop k of image i of `dataset` is image 10 i + k here: size x size, cut after the shorter side
  /// was resized to `resize_shorter`. `dataset` must outlive this.
  TenCrops(const Dataset& dataset, int resize_shorter, int size);

  std::string name(std::int64_t index) const override {
    return dataset_.name(static_cast<std::int64_t>(place(index)) / kCrops);
  }
  void fetch(std::int64_t index, Sample& sample) const override;

 protected:
  /// The base's identity and the sizes.
  void add_content(Hash& hash) const override;

 private:
  const Dataset& dataset_;
  int resize_shorter_, size_;
};

}  // namespace invp
