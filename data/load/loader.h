// What loaders are asked for and what they hand out: their settings, a batch, their statistics.
#pragma once

#include <chrono>
#include <cstdint>
#include <vector>

#include "data/images/augment.h"
#include "data/load/batch_groups.h"
#include "data/load/boxed_pictures.h"
#include "data/sets/dataset.h"
#include "data/sets/patient_fetch.h"
#include "engine/core/tensor.h"

namespace invp {

/// Where a crop becomes a normalized image.
enum class AugmentOn : std::uint8_t {
  kWorkers,  ///< in the loader's threads
  kDevice,   ///< on the device that uses the batch: the threads decode, and fewer bytes are copied
};

/// Where JPEG files become pixels.
enum class DecodeOn : std::uint8_t {
  kWorkers,  ///< in the loader's threads
  /// On a GPU with nvJPEG (engine/ops/image/decode_jpegs.h), whose pixels differ by about two gray
  /// levels. The threads pass on the files that suit it (ImageInfo::plain_jpeg) and decode the
  /// others.
  kDevice,
};

/// What is faster for batches on this device.
inline AugmentOn best_augment_on(Device device) {
  return device == kCpu ? AugmentOn::kWorkers : AugmentOn::kDevice;
}

struct LoaderOptions {
  std::int64_t batch_size = 128;
  int workers = 1;  ///< threads; 0: one, which makes each batch while next() waits
  std::uint64_t seed = 0;
  bool shuffle = true;     ///< by Random(seed, kOrder, epoch); else in the order of the data set
  bool drop_last = false;  ///< leave out a last batch that is not full
  int prefetch = 2;  ///< batches made ahead; one more is in use, and there are no more buffers
  double max_bad_share = 0.01;                     ///< of the data set; see BadImages
  std::chrono::milliseconds patience = kPatience;  ///< with a machine at fault: fetch_patiently()
  DecodeOptions decode;
  AugmentOn augment_on = AugmentOn::kWorkers;
  DecodeOn decode_on = DecodeOn::kWorkers;  ///< kDevice needs AugmentOn::kDevice
  /// Of every batch, the rows of these groups alone are made. Where that is not the whole batch, a
  /// batch without rows is handed out too: others may have rows of it.
  BatchPart part;
  /// Whole batches go round so many takers: those whose number leaves `turn` when divided by
  /// `turns` are made, the others are passed over. For evaluations that are shared out.
  int turns = 1;
  int turn = 0;
};

/// A batch as a training step takes it.
struct Batch {
  Tensor images;                          ///< (n, S, S, 3) f32, on the device that it was made for
  std::vector<std::int64_t> indices;      ///< n positions in the data set
  std::vector<std::int64_t> labels = {};  ///< n
  /// n: where each image stands in the batch as it was planned, of so many images on all ranks.
  /// Images that cannot be read are missing. 0 planned: the batch is as it was planned.
  std::vector<std::int64_t> places = {};
  std::int64_t planned = 0;
  std::int64_t total = 0;  ///< images that are left of it on all ranks; 0: these are all
  /// In the epoch, from 0; start_epoch(epoch, position + 1) goes on after it.
  std::int64_t position = 0;
  /// Of detection: `images` is undefined then, `labels` is empty, and `indices` are the rows of the
  /// pictures of all groups, in order.
  std::vector<BoxedGroup> groups = {};

  /// Rows of its images, group by group. An image that cannot be read is missing in its own group.
  std::vector<RowRange> rows(const BatchPart& part) const;
  std::int64_t images_of_all() const { return total > 0 ? total : std::ssize(indices); }
};

struct LoaderStats {
  double wait_seconds = 0;  ///< spent in next() until a batch was there
  std::int64_t images = 0;
  std::int64_t batches = 0;
};

}  // namespace invp
