// The batches of detection as a run takes them: an endless stream cut into epochs of N iterations.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/load/detection_batches.h"
#include "invp/run/batch_source.h"

namespace invp {

class DetectionSource final : public BatchSource {
 public:
  /// `set` must outlive this. Throws as DetectionBatches, and for less than one iteration an epoch.
  DetectionSource(const DetectionSet& set, const DetectionLoaderOptions& options,
                  std::int64_t iterations_per_epoch, Device device);

  /// Which pictures are trained on, and what is left out.
  const TrainingPictures& pictures() const { return batches_.pictures(); }

  std::int64_t images_per_epoch() const override {
    return iterations_ * batches_.pictures_per_batch();
  }
  std::int64_t images() const override { return std::ssize(pictures().rows); }
  std::int64_t batches_per_epoch() const override { return iterations_; }
  /// Batch b of epoch e is that of iteration (e - 1) N + b. What was made ahead is kept where the
  /// iterations go on.
  void start_epoch(std::int64_t epoch, std::int64_t first_batch) override;
  /// Its images are on the device; boxes and labels stay on the host.
  std::optional<Batch> next() override;
  double wait_seconds() const override { return batches_.stats().wait_seconds; }
  std::vector<BadImage> bad_images() override { return batches_.bad_images(); }
  std::vector<BadPlace> bad_places() override { return batches_.bad_places(); }
  void remember_bad(const std::vector<BadPlace>& places) override { batches_.remember_bad(places); }
  DataWait reading() const override;

 private:
  DetectionBatches batches_;
  const std::int64_t iterations_;
  const int workers_;
  const Device device_;
  std::int64_t first_ = 0;  ///< iteration that the epoch begins with
  std::int64_t at_ = -1;    ///< iteration that next() gives; -1: not started
};

}  // namespace invp
