// One buffer of ImageBatches and the batch that is made in it.
#pragma once

#include <atomic>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/load/loader.h"
#include "data/sets/dataset.h"
#include "engine/ops/image/decode_jpegs.h"

namespace invp {

/// What the workers make of a batch: its images, or what a device makes them of. All tensors are on
/// the host.
struct HostBatch {
  Batch batch;                         ///< with AugmentOn::kDevice its images are undefined
  Tensor pixels;                       ///< u8, the crops one after another
  std::vector<AugmentRecord> records;  ///< n, into `pixels`
  AugmentOutput output;
  Tensor files;  ///< with DecodeOn::kDevice: u8, the files one after another
  /// With DecodeOn::kDevice, n. Of 0 bytes: the row's crop is in `pixels`. Otherwise the record's
  /// `begin` counts from the first byte of the decoded image.
  std::vector<JpegFile> jpegs;
};

/// A row of a batch whose image cannot be read.
struct BadRow {
  std::int64_t index;  ///< in the data set
  BadImage image;
};

/// The buffers that a worker reuses from image to image.
struct BatchMaker {
  explicit BatchMaker(const AugmentConfig& config) : augmenter(config) {}
  Augmenter augmenter;
  Sample sample;
};

/// Byte strings, one per row, in one buffer that many threads fill. The buffer grows to the size
/// that batches need.
class ByteBuffer {
 public:
  /// Drops the strings of the batch before. The first call allocates `bytes`.
  void begin(std::int64_t rows, std::int64_t bytes);
  /// Room for a row's bytes. Called once per row, by any thread.
  struct Room {
    std::int64_t begin;
    std::uint8_t* to;
  };
  Room take(std::int64_t row, std::int64_t bytes);
  /// All strings, in the order of the calls of take().
  Tensor finish();

 private:
  std::int64_t capacity() const { return bytes_.numel(); }

  Tensor bytes_;
  std::atomic<std::int64_t> used_ = 0;
  struct Late {
    std::int64_t begin = 0;
    std::vector<std::uint8_t> bytes;
  };
  std::vector<Late> late_;  ///< per row, bytes for which there was no room
};

/// begin() and finish() are called by the consumer's thread, fill() by any, once per row.
class BatchSlot {
 public:
  /// Prepares for options.part of a batch of the images at `planned`.
  void begin(std::int64_t position, std::span<const std::int64_t> planned,
             const AugmentConfig& augment, const LoaderOptions& options);
  /// Makes rows [first, last). An image that cannot be read (Error) is noted; other exceptions
  /// leave.
  void fill(std::int64_t first, std::int64_t last, const Dataset& dataset,
            const LoaderOptions& options, std::int64_t epoch, BatchMaker& maker);
  /// The batch without the rows that failed; these are appended to `failures`, in order.
  HostBatch finish(const Dataset& dataset, std::vector<BadRow>& failures);

  std::int64_t size() const { return std::ssize(indices_); }

 private:
  bool pass_file(std::int64_t row, std::span<const std::uint8_t> bytes, const std::string& name,
                 const LoaderOptions& options, const AugmentConfig& augment, Random& random);
  void make_row(std::int64_t row, const Augmenter::Crop& crop, Augmenter& augmenter);

  std::int64_t position_ = 0;
  std::int64_t planned_ = 0;  ///< images of the batch, on all ranks
  std::int64_t first_ = 0;    ///< of them, where this part begins
  std::vector<std::int64_t> indices_;
  std::vector<std::string> reasons_;  ///< per row, why it is bad; empty: it is good
  AugmentOn augment_on_ = AugmentOn::kWorkers;
  Tensor images_;  ///< with AugmentOn::kWorkers
  AugmentOutput output_;
  std::vector<AugmentRecord> records_;  ///< with AugmentOn::kDevice, per row
  ByteBuffer crops_;
  std::vector<JpegFile> jpegs_;  ///< with DecodeOn::kDevice, per row; otherwise empty
  ByteBuffer files_;
};

}  // namespace invp
