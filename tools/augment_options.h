// --augment and each setting of it by itself.
#pragma once

#include <string>
#include <vector>

#include "data/augment.h"
#include "tools/options.h"

namespace invp {

class AugmentOptions {
 public:
  explicit AugmentOptions(std::string preset = "imagenet") : preset_(std::move(preset)) {}

  void declare(Options& options);
  /// The preset with what was given by itself in its place; from then on the options hold what came
  /// of it, for config.toml. Throws UsageError for settings that do not go together.
  AugmentConfig resolve(const Options& options);
  /// The deterministic pipeline that evaluates what this one trained: same size, same
  /// normalisation.
  static AugmentConfig evaluation(const AugmentConfig& training);

 private:
  std::string preset_;
  int image_size_ = 0;
  std::vector<double> crop_scale_;
  std::vector<double> crop_ratio_;
  std::vector<double> jitter_;
  double jitter_prob_ = 0;
  double gray_prob_ = 0;
  double blur_prob_ = 0;
  std::vector<double> blur_sigma_;
  double flip_prob_ = 0;
  bool dct_scaling_ = false;
};

}  // namespace invp
