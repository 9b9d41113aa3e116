#include "data/batch_feed.h"

#include <algorithm>
#include <chrono>

namespace invp {

namespace {

/// What of a batch goes to the device: crops come with a record of what to make of each.
Tensor& payload(Batch& batch) {
  return batch.records.empty() ? batch.images : batch.pixels;
}

}  // namespace

BatchFeed::BatchFeed(const Dataset& dataset, const AugmentConfig& augment,
                     const LoaderOptions& options, Device device)
    : loader_(dataset, augment, options), ring_(device) {}

BatchFeed::~BatchFeed() {
  if (next_.valid()) next_.wait();
}

/// The next batch from the loader, its elements under way. On the thread that fetches ahead.
BatchFeed::Fetched BatchFeed::fetch() {
  const double waited = loader_.stats().wait_seconds;
  Fetched next{.batch = loader_.next()};
  if (!next.batch) return next;
  next.waited = loader_.stats().wait_seconds - waited;
  ring_.begin(payload(*next.batch));
  payload(*next.batch) = {};  // the loader may use its buffer again
  return next;
}

void BatchFeed::settle() {
  if (next_.valid()) next_.wait();
}

void BatchFeed::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  if (next_.valid()) {
    try {
      if (next_.get().batch) ring_.take();
    } catch (const Error&) {
      // of an epoch that is given up
    }
  }
  loader_.start_epoch(epoch, first_batch);
}

std::optional<Batch> BatchFeed::next() {
  if (!ahead()) return loader_.next();
  const auto start = std::chrono::steady_clock::now();
  Fetched fetched = next_.valid() ? next_.get() : fetch();
  const std::chrono::duration<double> waited = std::chrono::steady_clock::now() - start;
  std::optional<Batch>& batch = fetched.batch;
  if (!batch) return batch;
  payload(*batch) = ring_.take();
  next_ = std::async(std::launch::async, [this] { return fetch(); });
  // A host that is steps ahead waits here for a place in the ring, which is no fault of the loader.
  stats_.wait_seconds += std::min(waited.count(), fetched.waited);
  stats_.images += std::ssize(batch->indices);
  ++stats_.batches;
  return batch;
}

const std::vector<BadImage>& BatchFeed::bad_images() {
  settle();
  return loader_.bad_images();
}

const LoaderStats& BatchFeed::stats() const {
  return ahead() ? stats_ : loader_.stats();
}

}  // namespace invp
