// Where a run's batches come from: images through the loader, or anything else that can be walked
// through again in the same order.
#pragma once

#include <optional>
#include <vector>

#include "data/load/batch_feed.h"
#include "invp/run/data_wait.h"

namespace invp {

class BatchSource {
 public:
  virtual ~BatchSource() = default;
  virtual std::int64_t images_per_epoch() const = 0;
  virtual std::int64_t batches_per_epoch() const = 0;
  /// The batches of an epoch are a function of the epoch alone, `first_batch` the first of them
  /// that is wanted. Epochs count from 1.
  virtual void start_epoch(std::int64_t epoch, std::int64_t first_batch) = 0;
  /// Nothing at the end of the epoch. Batch::position counts within it; images may be undefined
  /// where the task needs none.
  virtual std::optional<Batch> next() = 0;
  /// The images that unreadable ones are counted among.
  virtual std::int64_t images() const { return images_per_epoch(); }
  /// Several ranks have agreed to write a checkpoint before the batch that next() gave is used.
  virtual bool save_first() const { return false; }
  /// Seconds spent in next() until a batch was there, since the start.
  virtual double wait_seconds() const { return 0; }
  /// Images that could not be read and are left out, and their positions in the set.
  virtual std::vector<BadImage> bad_images() { return {}; }
  virtual std::vector<BadPlace> bad_places() { return {}; }
  /// Counts those of an earlier part of the run.
  virtual void remember_bad(const std::vector<BadPlace>& /*places*/) {}
  /// How the images are read, for advice to a run that waits for them.
  virtual DataWait reading() const { return {}; }
};

/// Augmented images of a data set, shuffled each epoch; the last, short batch is kept.
class ImageSource final : public BatchSource {
 public:
  ImageSource(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options,
              Device device)
      : dataset_(dataset), workers_(options.workers), feed_(dataset, augment, options, device) {}

  std::int64_t images_per_epoch() const override { return dataset_.size(); }
  std::int64_t batches_per_epoch() const override { return feed_.batches_per_epoch(); }
  void start_epoch(std::int64_t epoch, std::int64_t first_batch) override {
    feed_.start_epoch(epoch, first_batch);
  }
  std::optional<Batch> next() override { return feed_.next(); }
  double wait_seconds() const override { return feed_.stats().wait_seconds; }
  std::vector<BadImage> bad_images() override { return feed_.bad_images(); }
  std::vector<BadPlace> bad_places() override { return feed_.bad_places(); }
  void remember_bad(const std::vector<BadPlace>& places) override { feed_.remember_bad(places); }
  DataWait reading() const override { return reading_of(dataset_, workers_); }

 private:
  const Dataset& dataset_;
  int workers_;
  BatchFeed feed_;
};

}  // namespace invp
