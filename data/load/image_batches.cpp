#include "data/load/image_batches.h"

#include <algorithm>
#include <numeric>

#include "engine/core/error.h"
#include "engine/core/stopwatch.h"

namespace invp {
namespace {

/// Rows in a part of a batch: few, so that many workers share one batch; enough that the lock costs
/// little beside images of 32 x 32.
constexpr std::int64_t kRowsPerPart = 8;

const LoaderOptions& checked(const Dataset& dataset, const AugmentConfig& augment,
                             const LoaderOptions& options) {
  CHECK(dataset.size() > 0, "[loader] the data set is empty");
  CHECK(options.batch_size >= 1, "[loader] the batch size must be at least 1, got ",
        options.batch_size);
  CHECK(options.workers >= 0 && options.workers <= 1024, "[loader] 0 to 1024 workers, got ",
        options.workers);
  options.part.check();
  CHECK(options.turn >= 0 && options.turn < options.turns, "[loader] no turn ", options.turn,
        " of ", options.turns);
  CHECK(options.prefetch >= 1, "[loader] at least 1 batch must be made ahead, got ",
        options.prefetch);
  CHECK(options.decode_on == DecodeOn::kWorkers ||
            (options.augment_on == AugmentOn::kDevice && !options.decode.apply_orientation &&
             !augment.dct_scaling),
        "[loader] Decoding on the device needs augmentation on the device, and supports neither "
        "EXIF rotation nor DCT scaling.");
  return options;
}

}  // namespace

ImageBatches::ImageBatches(const Dataset& dataset, const AugmentConfig& augment,
                           const LoaderOptions& options)
    : dataset_(dataset),
      augment_(augment),
      options_(checked(dataset, augment, options)),
      order_(static_cast<std::size_t>(dataset.size())),
      bad_("[loader]", options.max_bad_share, dataset.size()),
      workers_(options.workers, options.prefetch,
               {[this](std::int64_t batch, std::size_t slot) { return begin_batch(batch, slot); },
                [this](std::size_t slot, std::int64_t part, std::size_t worker) {
                  make_rows(slot, part, worker);
                }}) {
  slots_ = std::vector<BatchSlot>(workers_.slots());
  for (int i = 0; i < std::max(1, options.workers); ++i) makers_.emplace_back(augment);
}

std::int64_t ImageBatches::batches_per_epoch() const {
  const std::int64_t n = dataset_.size();
  return options_.drop_last ? n / options_.batch_size
                            : (n + options_.batch_size - 1) / options_.batch_size;
}

void ImageBatches::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  const std::int64_t batches = batches_per_epoch();
  CHECK(epoch >= 0, "[loader] epochs count from 0, got ", epoch);
  CHECK(first_batch >= 0 && first_batch <= batches, "[loader] an epoch has ", batches,
        " batches, it cannot begin at ", first_batch);
  workers_.stop();
  epoch_ = epoch;
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.shuffle) {
    Random random(options_.seed, Purpose::kOrder, static_cast<std::uint64_t>(epoch));
    random.shuffle(std::span(order_));
  }
  workers_.start(turns_before(first_batch), turns_before(batches));
}

/// How many of the batches before this one are made here.
std::int64_t ImageBatches::turns_before(std::int64_t batch) const {
  return (batch + options_.turns - 1 - options_.turn) / options_.turns;
}

void ImageBatches::remember_bad(const std::vector<BadPlace>& places) {
  for (const auto& [index, reason] : places) {
    CHECK(index >= 0 && index < dataset_.size(), "[loader] image ", index, " was bad, of ",
          dataset_.size(), " images");
  }
  bad_.remember(places, [this](std::int64_t index) { return dataset_.name(index); });
}

std::int64_t ImageBatches::begin_batch(std::int64_t position, std::size_t slot) {
  const std::int64_t batch = position * options_.turns + options_.turn;
  const std::int64_t first = batch * options_.batch_size;
  const std::int64_t count = std::min(options_.batch_size, dataset_.size() - first);
  const auto rows =
      std::span(order_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
  slots_[slot].begin(batch, rows, augment_, options_);
  return std::max<std::int64_t>(1, (slots_[slot].size() + kRowsPerPart - 1) / kRowsPerPart);
}

void ImageBatches::make_rows(std::size_t slot, std::int64_t part, std::size_t worker) {
  BatchSlot& batch = slots_[slot];
  const std::int64_t first = part * kRowsPerPart;
  batch.fill(first, std::min(first + kRowsPerPart, batch.size()), dataset_, options_, epoch_,
             makers_[worker]);
}

std::optional<HostBatch> ImageBatches::next() {
  const Stopwatch stopwatch;
  while (const auto item = workers_.next()) {
    std::vector<BadRow> failures;
    HostBatch made = slots_[item->slot].finish(dataset_, failures);
    note_failures(failures);
    if (made.batch.indices.empty() && options_.part.whole()) continue;
    stats_.wait_seconds += stopwatch.seconds();
    stats_.images += std::ssize(made.batch.indices);
    ++stats_.batches;
    return made;
  }
  return std::nullopt;
}

// Here, not by the workers: batches are handed out in order, so neither the list nor the batch at
// which there are too many depends on the workers.
void ImageBatches::note_failures(const std::vector<BadRow>& failures) {
  for (const BadRow& failure : failures) bad_.add(failure.index, failure.image);
  if (!failures.empty()) bad_.check();
}

}  // namespace invp
