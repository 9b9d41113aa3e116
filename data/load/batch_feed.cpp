#include "data/load/batch_feed.h"

#include <algorithm>

#include "engine/core/stopwatch.h"

namespace invp {

namespace {

/// What of a batch goes to the device: crops come with a record of what to make of each.
Tensor& payload(Batch& batch) {
  return batch.records.empty() ? batch.images : batch.pixels;
}

/// Does it go through the ring? A batch of files alone has no crops.
bool uploaded(Batch& batch) {
  return !payload(batch).defined();
}

/// Decodes on the device; the positions of the files that it refused are appended. One of many
/// is found by halving, so that pixels never depend on which pictures share a batch.
void decode_files(const Tensor& bytes, std::span<const JpegFile> files, std::size_t first,
                  const Tensor& pixels, std::vector<std::size_t>& refused) {
  if (decode_jpegs(bytes, files, pixels)) return;
  if (files.size() == 1) return refused.push_back(first);
  const std::size_t half = files.size() / 2;
  decode_files(bytes, files.first(half), first, pixels, refused);
  decode_files(bytes, files.subspan(half), first + half, pixels, refused);
}

/// Takes a row out of a batch whose images are not made yet.
void remove_row(Batch& batch, std::size_t row) {
  const auto at = static_cast<std::ptrdiff_t>(row);
  batch.records.erase(batch.records.begin() + at);
  batch.indices.erase(batch.indices.begin() + at);
  batch.labels.erase(batch.labels.begin() + at);
}

}  // namespace

BatchFeed::BatchFeed(const Dataset& dataset, const AugmentConfig& augment,
                     const LoaderOptions& options, Device device)
    : dataset_(dataset),
      decode_(options.decode),
      loader_(dataset, augment, options),
      ring_(device) {
  if (options.decode_on == DecodeOn::kWorkers) return;
  const std::string obstacle = jpeg_obstacle(device);
  CHECK(obstacle.empty(), "[loader] JPEGs cannot be decoded on ", device, ": ", obstacle);
}

BatchFeed::~BatchFeed() {
  if (next_.valid()) next_.wait();
}

/// The next batch from the loader, its elements under way. On the thread that fetches ahead.
BatchFeed::Fetched BatchFeed::fetch() {
  const double waited = loader_.stats().wait_seconds;
  Fetched next{.batch = loader_.next()};
  if (!next.batch) return next;
  next.waited = loader_.stats().wait_seconds - waited;
  if (Tensor& host = payload(*next.batch); host.numel() > 0) {
    ring_.begin(host);
    host = {};  // the loader may use its buffer again
  }
  return next;
}

/// Puts the pictures of the batch's files behind its crops.
void BatchFeed::decode(Batch& batch) {
  std::vector<JpegFile> files;
  std::vector<std::size_t> rows;
  std::int64_t end = batch.pixels.numel();
  for (std::size_t row = 0; row < batch.jpegs.size(); ++row) {
    if (batch.jpegs[row].bytes == 0) continue;
    JpegFile& file = files.emplace_back(batch.jpegs[row]);
    rows.push_back(row);
    file.pixels = end;
    batch.records[row].begin += end;
    end += file.picture_bytes();
  }
  const MemoryScope scope(MemoryUse::kData);
  const Tensor pixels = Tensor::empty({end}, DType::kU8, ring_.device());
  const std::int64_t crops = batch.pixels.numel();
  if (crops > 0) pixels.slice(0, crops).copy_from(batch.pixels);
  std::vector<std::size_t> refused;
  decode_files(batch.files, files, 0, pixels, refused);
  std::vector<Loader::Failure> failures;
  for (; !refused.empty(); refused.pop_back()) {
    const std::size_t row = rows[refused.back()];
    std::string reason = decode_here(batch, row, files[refused.back()], pixels);
    if (reason.empty()) continue;
    const std::int64_t index = batch.indices[row];
    failures.insert(failures.begin(), {index, {dataset_.name(index), std::move(reason)}});
    remove_row(batch, row);  // those before stay where they are
  }
  batch.pixels = pixels;
  batch.files = {};
  batch.jpegs.clear();
  loader_.note_failures(failures);
}

/// By the workers' decoder, for a file that the device refuses. What is wrong with it; empty: it is
/// among the pixels.
std::string BatchFeed::decode_here(const Batch& batch, std::size_t row, const JpegFile& file,
                                   const Tensor& pixels) const {
  const Tensor bytes = batch.files.slice(file.begin, file.begin + file.bytes);
  Image image;
  try {
    image = decode_image(bytes.span<std::uint8_t>(), dataset_.name(batch.indices[row]), decode_);
  } catch (const Error& error) {
    return error.what();
  }
  pixels.slice(file.pixels, file.pixels + file.picture_bytes())
      .copy_from(Tensor::from(image.pixels, {file.picture_bytes()}));
  return {};
}

void BatchFeed::settle() {
  if (next_.valid()) next_.wait();
}

void BatchFeed::start_epoch(std::int64_t epoch, std::int64_t first_batch) {
  if (next_.valid()) {
    try {
      std::optional<Batch> batch = next_.get().batch;
      if (batch && uploaded(*batch)) ring_.take();
    } catch (const Error&) {
      // of an epoch that is given up
    }
  }
  loader_.start_epoch(epoch, first_batch);
}

std::optional<Batch> BatchFeed::next() {
  if (!ahead()) return loader_.next();
  std::optional<Batch> batch;
  do {
    const Stopwatch stopwatch;
    Fetched fetched = next_.valid() ? next_.get() : fetch();
    const double waited = stopwatch.seconds();
    batch = std::move(fetched.batch);
    if (!batch) return batch;
    if (uploaded(*batch)) payload(*batch) = ring_.take();
    if (!batch->jpegs.empty()) decode(*batch);
    next_ = std::async(std::launch::async, [this] { return fetch(); });
    // A host that is steps ahead waits here for a place in the ring, which is no fault of the
    // loader.
    stats_.wait_seconds += std::min(waited, fetched.waited);
  } while (batch->indices.empty());
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
