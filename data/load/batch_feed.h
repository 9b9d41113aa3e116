// The batches of ImageBatches with their images on a device. For a GPU the next batch is fetched
// and copied while the GPU works on the one in use (engine/core/upload_ring.h). The device makes
// what the workers left to it: it decodes files and augments crops.
#pragma once

#include <future>
#include <optional>
#include <string>
#include <vector>

#include "data/load/image_batches.h"
#include "engine/core/upload_ring.h"

namespace invp {

class BatchFeed {
 public:
  /// As ImageBatches; `device` is where the images will be. Throws Error for DecodeOn::kDevice if
  /// there is a jpeg_obstacle.
  BatchFeed(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options,
            Device device);
  ~BatchFeed();
  BatchFeed(const BatchFeed&) = delete;
  BatchFeed& operator=(const BatchFeed&) = delete;

  std::int64_t batches_per_epoch() const { return host_.batches_per_epoch(); }
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// The next batch, its images on the device: the same to the bit wherever crops are augmented.
  /// Nothing at the end of the epoch. A file that the device cannot decode is decoded by the CPU;
  /// if the CPU cannot either, it is a bad image. Work that reads the batch before must have been
  /// queued; a batch whose images are still held stays as it is.
  std::optional<Batch> next();
  const std::vector<BadImage>& bad_images();
  const std::vector<std::int64_t>& bad_indices();
  void remember_bad(const std::vector<std::int64_t>& indices) { host_.remember_bad(indices); }
  /// For a GPU, wait_seconds is the time that next() waited for the workers, and a batch that was
  /// fetched ahead counts once it is handed out.
  const LoaderStats& stats() const;

 private:
  struct Fetched {
    std::optional<HostBatch> made;
    double waited = 0;  ///< seconds, for the workers
  };
  Fetched fetch();
  std::optional<HostBatch> take();
  void decode(HostBatch& made);
  std::string decode_here(const HostBatch& made, std::size_t row, const JpegFile& file,
                          const Tensor& pixels) const;
  void settle();
  bool ahead() const { return ring_.device() != kCpu; }

  const Dataset& dataset_;
  const DecodeOptions decode_;
  ImageBatches host_;
  UploadRing ring_;
  const bool whole_;  ///< batches are made whole
  LoaderStats stats_;
  std::future<Fetched> next_;  ///< fetched while the caller works
};

}  // namespace invp
