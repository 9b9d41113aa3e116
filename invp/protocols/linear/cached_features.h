// The pooled outputs of a frozen network for every picture of a set, computed once and kept in the
// host's memory: classifiers train on them without the network.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"
#include "engine/comm/communicator.h"
#include "invp/protocols/linear/tap_pooling.h"
#include "invp/run/bad_of_ranks.h"
#include "invp/run/batch_source.h"

namespace invp {

/// Does chance leave the pictures of this pipeline as they are, but for mirroring?
bool can_cache(const AugmentConfig& augment);

/// Batches as ImageSource would give them for the same options, mirrored as there, but without
/// images.
class CachedFeatures final : public BatchSource {
 public:
  using Progress = std::function<void(std::int64_t done, std::int64_t total)>;
  /// One pass of the network over `dataset`, which must outlive this; two where some pictures are
  /// to be mirrored and others not. Several ranks share the passes, whole batches in turn, and each
  /// gets all features; `options.part` says which rows of a batch next() gives. Throws Error for a
  /// pipeline that cannot be cached.
  CachedFeatures(ResNet& network, const std::vector<TapLayer>& layers, const Dataset& dataset,
                 const AugmentConfig& augment, const LoaderOptions& options,
                 const Progress& progress, std::shared_ptr<Communicator> ranks = invp::alone());

  /// Of layer k for the pictures of a batch of this epoch: (n, dims) f32 on the host.
  Tensor features(std::size_t k, const Batch& batch) const;
  std::int64_t bytes() const;

  std::int64_t images_per_epoch() const override { return dataset_.size(); }
  std::int64_t batches_per_epoch() const override;
  void start_epoch(std::int64_t epoch, std::int64_t first_batch) override;
  std::optional<Batch> next() override;
  std::vector<BadImage> bad_images() override;
  std::vector<BadPlace> bad_places() override;

 private:
  /// By layer, (pictures, dims).
  using Pass = std::vector<Tensor>;
  Pass run(ResNet& network, const std::vector<TapLayer>& layers, double flip_prob,
           const std::function<void(std::int64_t done)>& progress);
  void share(const Pass& pass);
  bool mirrored(std::int64_t index) const;

  const Dataset& dataset_;
  AugmentConfig augment_;
  LoaderOptions options_;
  std::vector<Pass> passes_;  ///< where both are wanted, as they are and mirrored
  std::vector<bool> there_;
  std::vector<BadOfRank> bad_;
  std::shared_ptr<Communicator> ranks_;
  std::int64_t epoch_ = 0;
  std::int64_t next_ = 0;
  std::vector<std::int64_t> order_;
};

}  // namespace invp
