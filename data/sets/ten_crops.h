// Ten-crop testing: every picture of a set as its four corners and its centre, and the same of its
// mirror image (transform.h: ten_crop), each a picture of its own.
#pragma once

#include <cstdint>

#include "data/sets/dataset.h"

namespace invp {

class TenCrops final : public Dataset {
 public:
  static constexpr std::int64_t kCrops = 10;

  /// Crop k of picture i of `dataset` is picture 10 i + k here: size x size, cut after the shorter
  /// side became `resize_shorter`. `dataset` must outlive this.
  TenCrops(const Dataset& dataset, int resize_shorter, int size);

  std::string name(std::int64_t index) const override { return dataset_.name(index / kCrops); }
  void fetch(std::int64_t index, Sample& sample) const override;

 private:
  const Dataset& dataset_;
  int resize_shorter_, size_;
};

}  // namespace invp
