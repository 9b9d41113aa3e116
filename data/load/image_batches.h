// Batches of square augmented images with one label each, made on the host by worker threads.
//
// What comes out is a function of the data set, the settings, the seed and the epoch alone. It does
// not depend on the number of workers or on where in the epoch a run began.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "data/images/augment.h"
#include "data/load/batch_slot.h"
#include "data/load/loader.h"
#include "data/load/ordered_workers.h"
#include "data/sets/bad_images.h"
#include "data/sets/dataset.h"

namespace invp {

/// An image that cannot be read is left out of its batch, which is then smaller; the other rows
/// stay as they are. A batch that is left without a row is passed over. next() throws an Error once
/// there are more bad images than max_bad_share of the data set (BadImages).
class ImageBatches {
 public:
  /// `dataset` must outlive this. Throws for settings out of range.
  ImageBatches(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options);

  std::int64_t batches_per_epoch() const;

  /// Gives up what is left of the epoch before. Image i is augmented from Random(seed,
  /// kAugmentation, epoch, i).
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// Nothing at the end of the epoch. The buffers of a batch are used again once its tensors are
  /// released.
  std::optional<HostBatch> next();

  /// Counts images of a batch that was handed out as bad; for code that decodes them later. Throws
  /// as next() does.
  void note_failures(const std::vector<BadRow>& failures);

  /// In the order in which they were met; each image once.
  const std::vector<BadImage>& bad_images() const { return bad_.all(); }
  std::vector<BadPlace> bad_places() const { return bad_.places(); }
  /// Counts images that were bad in an earlier part of the run.
  void remember_bad(const std::vector<BadPlace>& places);
  /// Since this was made.
  const LoaderStats& stats() const { return stats_; }

 private:
  std::int64_t turns_before(std::int64_t batch) const;
  std::int64_t begin_batch(std::int64_t position, std::size_t slot);
  void make_rows(std::size_t slot, std::int64_t part, std::size_t worker);

  const Dataset& dataset_;
  const AugmentConfig augment_;
  const LoaderOptions options_;
  std::int64_t epoch_ = 0;
  std::vector<std::int64_t> order_;  ///< of the epoch
  std::vector<BatchSlot> slots_;
  std::vector<BatchMaker> makers_;  ///< one per worker
  BadImages bad_;
  LoaderStats stats_;
  OrderedWorkers workers_;  ///< last: its threads use what is above
};

}  // namespace invp
