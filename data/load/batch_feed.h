// A loader's batches on the device where they are wanted. On a GPU the batch after the one in use
// is fetched and brought there meanwhile, beside the GPU's work (engine/core/upload_ring.h), and
// files that the GPU is to decode are handed to it; on the CPU this is the loader.
#pragma once

#include <future>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/load/loader.h"
#include "engine/core/upload_ring.h"

namespace invp {

class BatchFeed {
 public:
  /// As Loader's. Throws for DecodeOn::kDevice where there is a jpeg_obstacle.
  BatchFeed(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options,
            Device device);
  ~BatchFeed();
  BatchFeed(const BatchFeed&) = delete;
  BatchFeed& operator=(const BatchFeed&) = delete;

  std::int64_t batches_per_epoch() const { return loader_.batches_per_epoch(); }
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// As Loader::next, with `images` or `pixels` on the device and every file decoded: one that the
  /// device refuses by the CPU, and one that the CPU refuses is a bad picture. Work that reads the
  /// batch before must have been queued; a batch whose tensor is still held stays as it is.
  std::optional<Batch> next();
  const std::vector<BadImage>& bad_images();
  /// Of a GPU, wait_seconds is what next() waited for the loader; a batch that was fetched ahead
  /// counts once it is handed out.
  const LoaderStats& stats() const;

 private:
  struct Fetched {
    std::optional<Batch> batch;
    double waited = 0;  ///< seconds, for the loader
  };
  Fetched fetch();
  void decode(Batch& batch);
  std::string decode_here(const Batch& batch, std::size_t row, const JpegFile& file,
                          const Tensor& pixels) const;
  void settle();
  bool ahead() const { return ring_.device() != kCpu; }

  const Dataset& dataset_;
  const DecodeOptions decode_;
  Loader loader_;
  UploadRing ring_;
  LoaderStats stats_;
  std::future<Fetched> next_;  ///< fetched beside what the caller does
};

}  // namespace invp
