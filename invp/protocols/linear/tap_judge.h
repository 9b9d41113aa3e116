// What a classifier at a tap is worth: top-1 and top-5 accuracy of labelled pictures, or mean
// average precision of a multi-label set.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "data/sets/dataset.h"
#include "engine/core/tensor.h"
#include "invp/protocols/scores/accuracy.h"
#include "invp/protocols/scores/average_precision.h"

namespace invp {

/// How a picture is shown in evaluation. Of several views the softmax is averaged; in multi-label
/// sets the logits are summed up.
enum class TestViews {
  kOne,
  kTenCrops,   ///< corners and centre, mirrored and not
  kTenRandom,  ///< ten draws of a random pipeline; multi-label sets only
};

struct TapScore {
  double top1 = 0, top5 = 0;  ///< per cent; of labelled pictures
  // Per cent; of multi-label sets, means over the classes.
  double map = 0;  ///< AveragePrecision::step
  double map_envelope = 0;
  double map_eleven_point = 0;
  std::vector<AveragePrecision> classes;
};

class TapJudge {
 public:
  /// `dataset`, whose labels or presences it goes by, must outlive the judge.
  TapJudge(const Dataset& dataset, TestViews views);

  /// logits (n, classes) f32, on any device. indices: positions in `dataset`, or, of ten crops, in
  /// TenCrops of it, where the crops of a picture come one after the other.
  void add(const Tensor& logits, std::span<const std::int64_t> indices);

  /// Adds what the other ranks were given; a collective call. Each picture was given to one rank.
  void add_up(Communicator& ranks);

  /// Of all pictures added.
  TapScore score() const;

 private:
  void add_crop(std::span<const float> row, std::int64_t index);
  TapScore score_of_multi_label() const;

  const Dataset& dataset_;
  TestViews views_;
  std::int64_t classes_;
  // Labelled pictures.
  Accuracy accuracy_;
  std::vector<double> probabilities_;  ///< summed up over the crops of the picture under way
  // Multi-label sets.
  std::vector<float> sums_;  ///< (pictures, classes)
  std::vector<bool> seen_;
};

}  // namespace invp
