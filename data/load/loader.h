// Batches of augmented pictures, made ahead by worker threads. What comes out is a function of the
// data set, the settings, the seed and the epoch alone: never of the number of workers or of where
// in the epoch it began.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/images/augment.h"
#include "data/sets/dataset.h"
#include "engine/core/tensor.h"
#include "engine/ops/image/decode_jpegs.h"

namespace invp {

/// Where a crop becomes a normalised image.
enum class AugmentOn : std::uint8_t {
  kWorkers,  ///< in the loader's threads
  kDevice,   ///< where the images are wanted (images_on): the threads decode, and little is copied
};

/// Where JPEG files become pixels.
enum class DecodeOn : std::uint8_t {
  kWorkers,  ///< in the loader's threads
  /// A GPU with nvJPEG (engine/ops/image/decode_jpegs.h), whose pixels differ by two gray levels or
  /// so: the threads pass on the files that suit it (ImageInfo::plain_jpeg), and decode the others.
  kDevice,
};

/// What suits images that are wanted on this device: a GPU makes them itself.
AugmentOn best_augment_on(Device device);

struct LoaderOptions {
  std::int64_t batch_size = 128;
  int workers = 1;  ///< threads; 0 makes each batch inside next()
  std::uint64_t seed = 0;
  bool shuffle = true;     ///< by Random(seed, kOrder, epoch); else in the order of the data set
  bool drop_last = false;  ///< leave out a last batch that is not full
  int prefetch = 2;        ///< batches made ahead: with the one in use, so many buffers and no more
  double max_bad_share = 0.01;  ///< of the data set; see Loader
  DecodeOptions decode;
  AugmentOn augment_on = AugmentOn::kWorkers;
  DecodeOn decode_on = DecodeOn::kWorkers;  ///< kDevice wants AugmentOn::kDevice
};

struct Batch {
  Tensor images;  ///< (n, S, S, 3) f32; undefined where the device makes them, of what follows
  Tensor pixels;  ///< u8, the crops
  std::vector<AugmentRecord> records;  ///< n
  AugmentOutput output;
  // With DecodeOn::kDevice, before BatchFeed has them decoded:
  Tensor files;  ///< u8, on the host
  /// One a record; of 0 bytes: its crop is among the pixels. Otherwise the record's crop begins at
  /// that byte of the picture.
  std::vector<JpegFile> jpegs;

  std::vector<std::int64_t> indices;  ///< n positions in the data set
  std::vector<std::int64_t> labels;
  std::int64_t position = 0;  ///< in the epoch: start_epoch(epoch, position + 1) goes on behind it
};

/// The images of a batch on `device`: brought there, or made there. Both are the same to the bit.
/// Throws for a batch with files yet to be decoded.
Tensor images_on(const Batch& batch, Device device);

struct LoaderStats {
  double wait_seconds = 0;  ///< spent in next() until a batch was there
  std::int64_t images = 0;
  std::int64_t batches = 0;
};

/// A picture that cannot be read is left out of its batch, which is then smaller; the others stay
/// as they are, and a batch of which nothing is left is passed over. Once the different bad
/// pictures number more than max_bad_share of the data set, next() throws an Error that lists some.
class Loader {
 public:
  struct Failure {
    std::int64_t index;
    BadImage image;
  };

  /// `dataset` must outlive the loader. Throws for settings out of range.
  Loader(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options);
  ~Loader();
  Loader(const Loader&) = delete;
  Loader& operator=(const Loader&) = delete;

  std::int64_t batches_per_epoch() const;

  /// Gives up what is left of the epoch before. Picture i is augmented from Random(seed,
  /// kAugmentation, epoch, i).
  void start_epoch(std::int64_t epoch, std::int64_t first_batch = 0);
  /// Nothing at the end of the epoch. The buffer behind `images` or `pixels` is used again as soon
  /// as nobody holds it any more.
  std::optional<Batch> next();

  /// Counts pictures of a batch that was handed out as bad, as if the loader had found them so; for
  /// who decodes them. Throws as next() does.
  void note_failures(const std::vector<Failure>& failures);

  /// In the order in which they were met; each picture once.
  const std::vector<BadImage>& bad_images() const;
  /// Since the loader was made.
  const LoaderStats& stats() const;

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace invp
