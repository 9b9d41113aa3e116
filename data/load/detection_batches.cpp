#include "data/load/detection_batches.h"

#include <algorithm>
#include <limits>
#include <optional>
#include <span>
#include <utility>

#include "engine/core/error.h"
#include "engine/core/stopwatch.h"
#include "engine/core/text.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

/// Sides beyond it would take more memory than a network has use for.
constexpr int kMostPixelsASide = 16384;
/// Of a place for which none could be read.
constexpr std::int64_t kNoPicture = -1;

const DetectionLoaderOptions& checked(const DetectionLoaderOptions& options) {
  CHECK(options.groups >= 1 && options.pictures_per_group >= 1,
        "[loader] a batch has at least 1 group of 1 picture, got ", options.groups, " of ",
        options.pictures_per_group);
  CHECK(!options.short_edges.empty(), "[loader] no short edge to draw from");
  for (const int edge : options.short_edges) {
    CHECK(edge >= 1 && edge <= kMostPixelsASide, "[loader] a short edge has 1 to ",
          kMostPixelsASide, " pixels, got ", edge);
  }
  CHECK(options.longest >= 1 && options.longest <= kMostPixelsASide,
        "[loader] the longest side has 1 to ", kMostPixelsASide, " pixels, got ", options.longest);
  CHECK(options.flip_probability >= 0 && options.flip_probability <= 1,
        "[loader] the probability of mirroring is between 0 and 1, got ", options.flip_probability);
  CHECK(options.workers >= 0 && options.workers <= 1024, "[loader] 0 to 1024 workers, got ",
        options.workers);
  CHECK(options.prefetch >= 1, "[loader] at least 1 batch must be made ahead, got ",
        options.prefetch);
  return options;
}

TrainingPictures checked_pictures(const DetectionSet& set, bool keep_empty) {
  TrainingPictures pictures = training_pictures(set, keep_empty);
  const std::int64_t all = std::ssize(set.pictures);
  CHECK(all > 0, set.source.string(), " (", set.split, "): has no pictures to train on");
  if (pictures.without_truth() < all) return pictures;
  fail(set.source.string(), " (", set.split, "): no object to train on; ",
       joined(left_out_lines(set, pictures)), "; check the annotations and the split");
}

bool is_wide(const BoxedPicture& picture) {
  return picture.width > picture.height;
}

std::vector<DetectionOrder::Picture> ordered_pictures(const DetectionSet& set,
                                                      const TrainingPictures& pictures) {
  std::vector<DetectionOrder::Picture> ordered;
  for (const std::int64_t row : pictures.rows)
    ordered.push_back({row, is_wide(set.pictures[static_cast<std::size_t>(row)])});
  return ordered;
}

}  // namespace

DetectionBatches::DetectionBatches(const DetectionSet& set, const DetectionLoaderOptions& options)
    : set_(set),
      options_(checked(options)),
      pictures_(checked_pictures(set, options.keep_empty)),
      order_(ordered_pictures(set, pictures_), options.part(), options.pictures_per_group,
             options.seed),
      scratch_(static_cast<std::size_t>(std::max(1, options.workers))),
      bad_("[loader]", options.max_bad_share, std::ssize(pictures_.rows)),
      workers_(options.workers, options.prefetch,
               {[this](std::int64_t at, std::size_t slot) { return begin_batch(at, slot); },
                [this](std::size_t slot, std::int64_t part, std::size_t worker) {
                  make_place(slot, part, worker);
                }}) {
  slots_ = std::vector<Slot>(workers_.slots());
  for (Slot& slot : slots_) {
    slot.places.resize(static_cast<std::size_t>(pictures_made()));
    slot.places_left =
        std::vector<std::atomic<std::int64_t>>(static_cast<std::size_t>(options.part().count));
  }
  for (const std::int64_t row : pictures_.rows) {
    const bool wide = is_wide(set.pictures[static_cast<std::size_t>(row)]);
    for (const bool of : {false, true}) {
      if (options.pictures_per_group == 1 || of == wide) alike_[of ? 1 : 0].push_back(row);
    }
  }
}

void DetectionBatches::start(std::int64_t iteration) {
  workers_.stop();
  order_.seek(iteration);
  workers_.start(iteration, std::numeric_limits<std::int64_t>::max());
}

std::int64_t DetectionBatches::begin_batch(std::int64_t iteration, std::size_t index) {
  Slot& slot = slots_[index];
  slot.iteration = iteration;
  const std::vector<StreamPlace> stream = order_.next();
  for (std::size_t i = 0; i < stream.size(); ++i) {
    slot.places[i].stream = stream[i];
    slot.places[i].bad.clear();
  }
  slot.groups.assign(slot.places_left.size(), {});
  for (std::atomic<std::int64_t>& left : slot.places_left) left = options_.pictures_per_group;
  return std::ssize(stream);
}

/// One place. Who makes the last of a group also makes the group's tensor.
void DetectionBatches::make_place(std::size_t index, std::int64_t part, std::size_t worker) {
  Slot& slot = slots_[index];
  make_view(slot.places[static_cast<std::size_t>(part)], scratch_[worker]);
  const auto group = static_cast<std::size_t>(part / options_.pictures_per_group);
  if (--slot.places_left[group] > 0) return;
  const auto count = static_cast<std::size_t>(options_.pictures_per_group);
  std::vector<const ViewPixels*> pixels;
  for (Place& place : std::span(slot.places).subspan(group * count, count)) {
    pixels.push_back(&place.pixels);
    slot.groups[group].views.push_back(std::move(place.view));
  }
  slot.groups[group].images = pad_together(pixels);
}

void DetectionBatches::make_view(Place& place, ResizeScratch& scratch) const {
  Random random(options_.seed, Purpose::kAugmentation, 0,
                static_cast<std::uint64_t>(place.stream.position));
  const auto edge =
      static_cast<std::size_t>(random.integer(0, std::ssize(options_.short_edges) - 1));
  place.pixels.flipped = random.uniform() < options_.flip_probability;
  Image image;
  if (!read_or_replace(place, random, image)) return;
  const ViewSize size =
      view_size(image.height, image.width, options_.short_edges[edge], options_.longest);
  resize_window(image, size.width, size.height, {0, 0, size.width, size.height},
                place.pixels.planes, scratch);
  place.view.height = size.height;
  place.view.width = size.width;
  place.view.flipped = place.pixels.flipped;
  place_truth(set_, place.view);
}

/// False: no picture was found before there were too many bad ones. The batch is then not handed
/// out.
bool DetectionBatches::read_or_replace(Place& place, Random& random, Image& image) const {
  const std::int64_t wanted = place.stream.picture;
  if (read(place, wanted, image)) return true;
  const bool wide = is_wide(set_.pictures[static_cast<std::size_t>(wanted)]);
  const std::vector<std::int64_t>& alike = alike_[wide ? 1 : 0];
  const std::int64_t count = std::ssize(alike), first = random.integer(0, count - 1);
  const double accepted = options_.max_bad_share * static_cast<double>(pictures_.rows.size());
  for (std::int64_t i = 0; i < count && static_cast<double>(place.bad.size()) <= accepted; ++i) {
    const std::int64_t row = alike[static_cast<std::size_t>((first + i) % count)];
    if (row != wanted && read(place, row, image)) return true;
  }
  place.view.picture = kNoPicture;
  place.pixels.planes.reshape(1, 1);
  return false;
}

/// Reads a picture for the place. False: it is bad, and noted.
bool DetectionBatches::read(Place& place, std::int64_t row, Image& image) const {
  try {
    image = read_picture(set_, row, options_.decode);
    place.view.picture = row;
    return true;
  } catch (const SystemError&) {
    throw;  // the machine's fault, not the picture's
  } catch (const Error& error) {
    place.bad.push_back({row, error.what()});
    return false;
  }
}

Batch DetectionBatches::next() {
  const Stopwatch stopwatch;
  const std::optional<OrderedWorkers::Item> item = workers_.next();
  CHECK(item.has_value(), "[loader] start() says at which iteration to begin");
  Slot& slot = slots_[item->slot];
  // Here, not by the workers: batches are handed out in order, so neither the list nor the batch at
  // which there are too many depends on the workers.
  for (const Place& place : slot.places) {
    for (const BadPicture& bad : place.bad)
      bad_.add(bad.row, {set_.picture_path(bad.row).string(), bad.reason});
  }
  if (!bad_.all().empty()) bad_.check();
  Batch batch;
  batch.position = slot.iteration;
  batch.groups = std::move(slot.groups);
  for (const BoxedGroup& group : batch.groups) {
    for (const BoxedView& view : group.views) batch.indices.push_back(view.picture);
  }
  CHECK(std::ranges::find(batch.indices, kNoPicture) == batch.indices.end(), "[loader] none of ",
        counted(std::ssize(pictures_.rows), "picture"),
        " can be read, the first: ", bad_.all().front().reason);
  stats_.wait_seconds += stopwatch.seconds();
  stats_.images += std::ssize(batch.indices);
  ++stats_.batches;
  return batch;
}

void DetectionBatches::remember_bad(const std::vector<BadPlace>& places) {
  for (const auto& [index, reason] : places) {
    CHECK(index >= 0 && index < std::ssize(set_.pictures), "[loader] picture ", index,
          " was bad, of ", std::ssize(set_.pictures), " pictures");
  }
  bad_.remember(places, [this](std::int64_t row) { return set_.picture_path(row).string(); });
}

}  // namespace invp
