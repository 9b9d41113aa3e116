#include "data/load/loader.h"

#include <algorithm>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <numeric>
#include <system_error>
#include <thread>
#include <unordered_set>

#include "data/load/batch_slot.h"
#include "engine/core/error.h"
#include "engine/core/stopwatch.h"

namespace invp {
namespace {

/// Rows that a worker takes at a time: few enough to share one batch among many workers, enough to
/// make the lock cheap beside pictures of 32 x 32.
constexpr std::int64_t kRowsAtATime = 8;

}  // namespace

/// Batch b is made in slot b modulo their number. Workers take rows of the first unfinished batches
/// in order; a batch may begin once the consumer has given its slot back.
class Loader::Impl {
 public:
  Impl(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options);
  ~Impl();

  std::int64_t batches() const;
  void start_epoch(std::int64_t epoch, std::int64_t first_batch);
  std::optional<Batch> next();

  void note_failures(const std::vector<Failure>& failures);

  std::vector<BadImage> bad_images;
  LoaderStats stats;

 private:
  struct Slot {
    BatchSlot batch;
    std::int64_t rows_left = 0;
  };

  Slot& slot_of(std::int64_t batch) {
    return slots_[static_cast<std::size_t>(batch % std::ssize(slots_))];
  }
  void begin_batch(std::int64_t batch);
  void fill(Slot& slot, std::int64_t first, std::int64_t last, BatchMaker& maker);
  void stop_workers();
  void work();

  const Dataset& dataset_;
  const AugmentConfig augment_;
  const LoaderOptions options_;
  std::vector<Slot> slots_;
  std::vector<std::int64_t> order_;
  std::unordered_set<std::int64_t> bad_indices_;
  BatchMaker inline_maker_;

  // Changed by the consumer while no worker is busy.
  std::int64_t epoch_ = 0;
  std::int64_t next_batch_ = 0;  ///< to hand out

  std::mutex mutex_;  // guards what follows, and rows_left
  std::condition_variable work_there_;
  std::condition_variable progress_;
  std::int64_t begun_ = 0;   ///< batches below this have a slot
  std::int64_t taking_ = 0;  ///< the batch whose rows are taken now
  std::int64_t taking_row_ = 0;
  int busy_ = 0;
  bool stopping_ = false;
  std::exception_ptr failure_;
  std::vector<std::thread> workers_;
};

Loader::Impl::Impl(const Dataset& dataset, const AugmentConfig& augment,
                   const LoaderOptions& options)
    : dataset_(dataset), augment_(augment), options_(options), inline_maker_(augment) {
  CHECK(dataset.size() > 0, "[loader] the data set is empty");
  CHECK(options.batch_size >= 1, "[loader] the batch size must be at least 1, got ",
        options.batch_size);
  CHECK(options.workers >= 0 && options.workers <= 1024, "[loader] 0 to 1024 workers, got ",
        options.workers);
  CHECK(options.prefetch >= 1, "[loader] at least 1 batch must be made ahead, got ",
        options.prefetch);
  CHECK(options.max_bad_share >= 0 && options.max_bad_share <= 1,
        "[loader] the share of bad images is between 0 and 1, got ", options.max_bad_share);
  CHECK(options.decode_on == DecodeOn::kWorkers ||
            (options.augment_on == AugmentOn::kDevice && !options.decode.apply_orientation &&
             !augment.dct_scaling),
        "[loader] what a device decodes it augments too, neither turned nor at a reduced size");
  slots_ =
      std::vector<Slot>(options.workers == 0 ? 1 : static_cast<std::size_t>(options.prefetch) + 1);
  order_.resize(static_cast<std::size_t>(dataset.size()));
  next_batch_ = begun_ = taking_ = batches();  // nothing to do before start_epoch
  try {
    for (int i = 0; i < options.workers; ++i) workers_.emplace_back([this] { work(); });
  } catch (const std::system_error& error) {
    stop_workers();
    fail("[loader] cannot start ", options.workers, " worker threads (", error.what(),
         "); ask for fewer");
  }
}

Loader::Impl::~Impl() {
  stop_workers();
}

void Loader::Impl::stop_workers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  work_there_.notify_all();
  for (std::thread& worker : workers_) worker.join();
  workers_.clear();
}

std::int64_t Loader::Impl::batches() const {
  const std::int64_t n = dataset_.size();
  return options_.drop_last ? n / options_.batch_size
                            : (n + options_.batch_size - 1) / options_.batch_size;
}

void Loader::Impl::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  CHECK(epoch >= 0, "[loader] epochs count from 0, got ", epoch);
  CHECK(first_batch >= 0 && first_batch <= batches(), "[loader] an epoch has ", batches(),
        " batches, it cannot begin at ", first_batch);
  std::unique_lock lock(mutex_);
  taking_ = begun_;  // no rows to take: the workers come to rest
  taking_row_ = 0;
  progress_.wait(lock, [&] { return busy_ == 0; });
  failure_ = nullptr;
  epoch_ = epoch;
  std::iota(order_.begin(), order_.end(), 0);
  if (options_.shuffle) {
    Random random(options_.seed, Purpose::kOrder, static_cast<std::uint64_t>(epoch));
    random.shuffle(std::span(order_));
  }
  next_batch_ = begun_ = taking_ = first_batch;
  if (workers_.empty()) return;
  while (begun_ < batches() && begun_ < first_batch + std::ssize(slots_)) begin_batch(begun_);
  lock.unlock();
  work_there_.notify_all();
}

/// Under the lock, or without workers.
void Loader::Impl::begin_batch(std::int64_t batch) {
  const std::int64_t first = batch * options_.batch_size;
  const std::int64_t count = std::min(options_.batch_size, dataset_.size() - first);
  Slot& slot = slot_of(batch);
  slot.batch.begin(
      batch,
      std::span(order_).subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count)),
      augment_, options_);
  slot.rows_left = count;
  begun_ = batch + 1;
}

void Loader::Impl::fill(Slot& slot, std::int64_t first, std::int64_t last, BatchMaker& maker) {
  slot.batch.fill(first, last, dataset_, options_, epoch_, maker);
}

void Loader::Impl::work() {
  BatchMaker maker(augment_);
  std::unique_lock lock(mutex_);
  for (;;) {
    work_there_.wait(lock, [&] { return stopping_ || taking_ < begun_; });
    if (stopping_) return;
    Slot& slot = slot_of(taking_);
    const std::int64_t first = taking_row_;
    const std::int64_t last = std::min(first + kRowsAtATime, slot.batch.size());
    taking_row_ = last;
    if (last == slot.batch.size()) {
      ++taking_;
      taking_row_ = 0;
    }
    ++busy_;
    lock.unlock();
    std::exception_ptr failure;
    try {
      fill(slot, first, last, maker);
    } catch (...) {
      failure = std::current_exception();
    }
    lock.lock();
    --busy_;
    slot.rows_left -= last - first;
    if (failure && !failure_) failure_ = failure;
    if (slot.rows_left == 0 || busy_ == 0 || failure_) progress_.notify_one();
  }
}

std::optional<Batch> Loader::Impl::next() {
  const Stopwatch stopwatch;
  while (next_batch_ < batches()) {
    const std::int64_t position = next_batch_;
    Slot& slot = slot_of(position);
    if (workers_.empty()) {
      begin_batch(position);
      fill(slot, 0, slot.batch.size(), inline_maker_);
    } else {
      std::unique_lock lock(mutex_);
      // The consumer is through with the batch before: its slot takes up the next one.
      if (begun_ < batches() && begun_ < position + std::ssize(slots_)) {
        begin_batch(begun_);
        work_there_.notify_all();
      }
      progress_.wait(lock, [&] { return slot.rows_left == 0 || failure_; });
      if (failure_) {
        taking_ = begun_;
        next_batch_ = batches();
        std::rethrow_exception(failure_);
      }
    }
    ++next_batch_;
    std::vector<Failure> failures;
    Batch batch = slot.batch.finish(dataset_, failures);
    note_failures(failures);
    if (batch.indices.empty()) continue;
    stats.wait_seconds += stopwatch.seconds();
    stats.images += std::ssize(batch.indices);
    ++stats.batches;
    return batch;
  }
  return std::nullopt;
}

/// Here and not where they happen: batches are handed out in order, so the list, and the batch at
/// which there are too many, do not depend on the workers.
void Loader::Impl::note_failures(const std::vector<Failure>& failures) {
  for (const Failure& failure : failures) {
    if (bad_indices_.insert(failure.index).second) bad_images.push_back(failure.image);
  }
  const double allowed = options_.max_bad_share * static_cast<double>(dataset_.size());
  if (failures.empty() || static_cast<double>(bad_images.size()) <= allowed) return;
  constexpr std::size_t kShown = 3;
  std::string shown;
  for (std::size_t i = 0; i < std::min(bad_images.size(), kShown); ++i)
    shown += "\n  " + bad_images[i].reason;
  fail("[loader] ", bad_images.size(), " of ", dataset_.size(),
       " images are bad, more than the share of ", options_.max_bad_share,
       " allowed; repair or remove them (invp data check lists all):", shown);
}

AugmentOn best_augment_on(Device device) {
  return device == kCpu ? AugmentOn::kWorkers : AugmentOn::kDevice;
}

Tensor images_on(const Batch& batch, Device device) {
  CHECK(batch.jpegs.empty(), "[loader] the batch's files are yet to be decoded");
  if (batch.images.defined()) return batch.images.to(device);
  return augment_images(batch.pixels.to(device), batch.records, batch.output);
}

Loader::Loader(const Dataset& dataset, const AugmentConfig& augment, const LoaderOptions& options)
    : impl_(std::make_unique<Impl>(dataset, augment, options)) {}
Loader::~Loader() = default;

std::int64_t Loader::batches_per_epoch() const {
  return impl_->batches();
}
void Loader::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  impl_->start_epoch(epoch, first_batch);
}
void Loader::note_failures(const std::vector<Failure>& failures) {
  impl_->note_failures(failures);
}
std::optional<Batch> Loader::next() {
  return impl_->next();
}
const std::vector<BadImage>& Loader::bad_images() const {
  return impl_->bad_images;
}
const LoaderStats& Loader::stats() const {
  return impl_->stats;
}

}  // namespace invp
