// Batches of pictures with boxes, made on the host by worker threads.
//
// What comes out is a function of the set, the settings, the seed and the iteration alone. It does
// not depend on the number of workers or on the iteration at which a run began.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "data/detection/detection_set.h"
#include "data/detection/training_truth.h"
#include "data/load/detection_order.h"
#include "data/load/loader.h"
#include "data/load/ordered_workers.h"
#include "data/load/view_maker.h"
#include "data/sets/bad_images.h"
#include "engine/core/random.h"

namespace invp {

struct DetectionLoaderOptions {
  std::int64_t groups = 4;              ///< what were GPUs
  std::int64_t pictures_per_group = 1;  ///< that are padded together
  /// One is drawn for each picture.
  std::vector<int> short_edges = {480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800};
  int longest = kLongestSide;
  double flip_probability = 0.5;
  bool keep_empty = false;  ///< train on pictures without truth, too
  int workers = 1;          ///< threads; 0 makes each batch inside next()
  int prefetch = 2;         ///< batches made ahead
  std::uint64_t seed = 0;
  double max_bad_share = 0.01;  ///< of the pictures trained on; see BadImages
  DecodeOptions decode;         ///< pictures are always read upright
  /// Of every batch only so many groups are made, from the first of these on. 0: all.
  std::int64_t first_group = 0, made_groups = 0;

  BatchPart part() const {
    return {.groups = static_cast<int>(groups),
            .first = static_cast<int>(first_group),
            .count = static_cast<int>(made_groups > 0 ? made_groups : groups)};
  }
};

/// A picture that cannot be read, or has another size than its annotations say, is bad; its place
/// is taken by another one (of the same orientation, where groups hold several): from a picture
/// drawn for the place on, the first in the set's order that is good. So a group never lacks a
/// picture, and which one it is depends on the place and the files alone.
class DetectionBatches {
 public:
  /// `set` must outlive this. Throws Error for settings out of range, and if there is nothing to
  /// train on: no pictures, or none with truth (with keep_empty, if the whole set has none).
  DetectionBatches(const DetectionSet& set, const DetectionLoaderOptions& options);

  /// Which pictures are trained on, and what is left out.
  const TrainingPictures& pictures() const { return pictures_; }
  /// All groups together, and those that are made.
  std::int64_t pictures_per_batch() const { return options_.groups * options_.pictures_per_group; }
  std::int64_t pictures_made() const { return options_.part().count * options_.pictures_per_group; }

  /// Gives up what was made ahead; next() goes on with this iteration, counted from 0, and never
  /// ends.
  void start(std::int64_t iteration);
  /// Batch::position is the iteration. Short edge, mirroring and what stands in for a bad picture
  /// are drawn from Random(seed, kAugmentation, 0, position in the stream). Throws Error once there
  /// are more bad pictures than max_bad_share, or none that can be read; start() is then needed to
  /// go on.
  Batch next();

  /// In the order in which they were met; each picture once.
  const std::vector<BadImage>& bad_images() const { return bad_.all(); }
  std::vector<BadPlace> bad_places() const { return bad_.places(); }
  /// Counts pictures that were bad in an earlier part of the run.
  void remember_bad(const std::vector<BadPlace>& places);
  /// Since this was made.
  const LoaderStats& stats() const { return stats_; }

 private:
  struct BadPicture {
    std::int64_t row;
    std::string reason;
  };
  struct Place {
    StreamPlace stream;
    BoxedView view;
    ViewPixels pixels;  ///< its buffers are used again
    std::vector<BadPicture> bad;
  };
  struct Slot {
    std::int64_t iteration = 0;
    std::vector<Place> places;
    std::vector<BoxedGroup> groups;
    std::vector<std::atomic<std::int64_t>> places_left;  ///< per group, not made yet
  };

  std::int64_t begin_batch(std::int64_t iteration, std::size_t slot);
  void make_place(std::size_t slot, std::int64_t part, std::size_t worker);
  void make_view(Place& place, ResizeScratch& scratch) const;
  bool read_or_replace(Place& place, Random& random, Image& image) const;
  bool read(Place& place, std::int64_t row, Image& image) const;

  const DetectionSet& set_;
  const DetectionLoaderOptions options_;
  const TrainingPictures pictures_;
  /// The pictures that may stand in for one that is not wide, and for one that is; where groups
  /// hold one picture, all.
  std::array<std::vector<std::int64_t>, 2> alike_;
  DetectionOrder order_;
  std::vector<Slot> slots_;
  std::vector<ResizeScratch> scratch_;  ///< one per worker
  BadImages bad_;
  LoaderStats stats_;
  OrderedWorkers workers_;  ///< last: its threads use what is above
};

}  // namespace invp
