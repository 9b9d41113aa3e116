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
  /// The named settings, changed by the options that were given. From then on the options hold the
  /// result, for config.toml. Throws UsageError for settings that do not go together.
  AugmentConfig resolve(const Options& options);
  /// The same from `config` instead of the named settings: what "auto" stands for.
  AugmentConfig resolve(const Options& options, AugmentConfig config);
  const std::string& preset() const { return preset_; }
  /// The same pipeline for images of another size.
  static AugmentConfig resized(AugmentConfig config, int image_size);
  /// The deterministic pipeline that evaluates what `training` trained: same size, same
  /// normalization.
  static AugmentConfig evaluation(const AugmentConfig& training);

 private:
  void declare_geometry(Options& options);
  void declare_color(Options& options);
  void hold(const AugmentConfig& config);

  std::string preset_;
  std::vector<std::string> presets_;
  int image_size_ = 0;
  Framing framing_ = Framing::kCenterCrop;
  int resize_shorter_ = 0;
  std::vector<double> crop_scale_;
  std::vector<double> crop_ratio_;
  std::vector<double> jitter_;
  double jitter_prob_ = 0;
  double gray_prob_ = 0;
  bool gray_before_jitter_ = false;
  double blur_prob_ = 0;
  std::vector<double> blur_sigma_;
  double flip_prob_ = 0;
  std::vector<double> mean_;
  std::vector<double> std_;
  bool dct_scaling_ = false;
};

}  // namespace invp::cli
