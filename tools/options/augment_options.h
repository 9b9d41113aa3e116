// --augment and each setting of it by itself.
#pragma once

#include <string>
#include <vector>

#include "data/images/augment.h"
#include "tools/options/options.h"

namespace invp::cli {

class AugmentOptions {
 public:
  explicit AugmentOptions(std::string preset = "imagenet",
                          std::vector<std::string> presets = {"imagenet", "imagenet-noblur",
                                                              "cifar", "none"})
      : preset_(std::move(preset)), presets_(std::move(presets)) {}

  void declare(Options& options);
  /// The preset with what was given by itself in its place; from then on the options hold what came
  /// of it, for config.toml. Throws UsageError for settings that do not go together.
  AugmentConfig resolve(const Options& options);
  /// The same over other settings, for those who know better than a name; "auto" asks for that.
  AugmentConfig resolve(const Options& options, AugmentConfig config);
  const std::string& preset() const { return preset_; }
  /// The deterministic pipeline that evaluates what this one trained: same size, same
  /// normalisation.
  static AugmentConfig evaluation(const AugmentConfig& training);

 private:
  std::string preset_;
  std::vector<std::string> presets_;
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

}  // namespace invp::cli
