// A step and an evaluation of layer-wise linear classification (linear.h).
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "invp/protocols/linear/cached_features.h"
#include "invp/protocols/linear/linear.h"
#include "invp/run/sgd_task.h"

namespace invp {

/// The loss of one classifier: cross entropy of labels, or binary cross entropy of presences,
/// summed over the classes and divided by the pictures, without the unclear ones.
class TapLoss {
 public:
  /// For a batch of the data set, on the device.
  TapLoss(const Dataset& dataset, const Batch& batch, Device device);

  /// Adds `share` of the gradient of the classifier's loss to what it was computed from. Returns
  /// that share of the loss, f32 with one element. The share is that of these pictures in all of
  /// the step's.
  Tensor backward(const Tensor& logits, float share) const;

 private:
  Tensor labels_;      ///< (n) i64, or
  Tensor targets_;     ///< (n, classes) f32
  float classes_ = 1;  ///< their number
  Device device_;
};

class LinearTask final : public SgdTask {
 public:
  /// All that is given lives longer; the caches may be null. What trains and what is judged come
  /// without images then.
  LinearTask(ResNet& network, LinearHeads& heads, const LinearConfig& config, const Dataset& train,
             const Dataset& validation);
  void use_cache(const CachedFeatures* train, CachedFeatures* validation);

  /// Of the last evaluation.
  const std::vector<TapScore>& scores() const { return scores_; }

  /// "loss", the mean over the taps, then, of several, "loss_tap1" and so on.
  std::vector<std::string> loss_names() const override;
  /// Of the best tap "top1" and "top5", or "map", "map_envelope" and "map_11point"; then of each
  /// tap, "top1_tap1" and so on.
  Evaluation evaluate(const PhaseProgress& progress) override;
  std::vector<Measure> after_epoch() override;
  TensorFile state() const override;
  void load_state(const TensorFile& state, const std::string& origin) override;

 private:
  Communicator& ranks() const { return *config_.run.ranks.communicator; }
  Tensor losses_with_gradients(const Batch& batch, const Progress& progress) override;
  /// Its share of the losses of each tap, with their gradients.
  Tensor losses_of_group(const Batch& batch, float share);
  using Visit = std::function<void(std::size_t k, const Tensor& features)>;
  void each_tap(const Batch& batch, const CachedFeatures* cache, const Visit& visit);
  using Judge = std::function<void(const Batch& batch, const CachedFeatures* cache)>;
  /// Whole batches go round the ranks. Returns the images that no rank could read.
  std::vector<BadImage> judge_cached(const Judge& add);
  std::vector<BadImage> judge(std::vector<TapJudge>& judges, const PhaseProgress& progress);

  ResNet& network_;
  LinearHeads& heads_;
  const LinearConfig& config_;
  const std::vector<Tensor> learning_;  ///< what gets gradients
  const Dataset& train_;
  const Dataset& validation_;
  const CachedFeatures* train_cache_ = nullptr;
  CachedFeatures* validation_cache_ = nullptr;
  std::vector<TapScore> scores_;
};

/// The figures of evaluate().
std::vector<Measure> measures_of(const std::vector<TapLayer>& layers,
                                 const std::vector<TapScore>& scores, bool multi_label);

}  // namespace invp
