#include "data/load/batch_feed.h"

#include <algorithm>

#include "engine/core/stopwatch.h"

namespace invp {

namespace {

/// The part of a batch that is copied to the device.
Tensor& payload(HostBatch& made) {
  return made.records.empty() && !made.pixels.defined() ? made.batch.images : made.pixels;
}

/// Was it copied through the ring? A batch of files alone has no crops.
bool uploaded(HostBatch& made) {
  return !payload(made).defined();
}

/// Decodes on the device and appends the positions of the files that it refused. Halving finds
/// these, so that an image's pixels do not depend on the images beside it.
void decode_files(const Tensor& bytes, std::span<const JpegFile> files, std::size_t first,
                  const Tensor& pixels, std::vector<std::size_t>& refused) {
  if (decode_jpegs(bytes, files, pixels)) return;
  if (files.size() == 1) return refused.push_back(first);
  const std::size_t half = files.size() / 2;
  decode_files(bytes, files.first(half), first, pixels, refused);
  decode_files(bytes, files.subspan(half), first + half, pixels, refused);
}

/// Takes a row out of a batch whose images are not made yet.
void remove_row(HostBatch& made, std::size_t row) {
  const auto at = static_cast<std::ptrdiff_t>(row);
  made.records.erase(made.records.begin() + at);
  made.batch.indices.erase(made.batch.indices.begin() + at);
  made.batch.labels.erase(made.batch.labels.begin() + at);
  made.batch.places.erase(made.batch.places.begin() + at);
}

/// The batch with its images, augmented on the device that holds the crops.
Batch finished(HostBatch& made) {
  if (!made.records.empty())
    made.batch.images = augment_images(made.pixels, made.records, made.output);
  return std::move(made.batch);
}

}  // namespace

BatchFeed::BatchFeed(const Dataset& dataset, const AugmentConfig& augment,
                     const LoaderOptions& options, Device device)
    : dataset_(dataset),
      decode_(options.decode),
      host_(dataset, augment, options),
      ring_(device),
      whole_(options.part.whole()) {
  if (options.decode_on == DecodeOn::kWorkers) return;
  const std::string obstacle = jpeg_obstacle(device);
  CHECK(obstacle.empty(), "[loader] JPEGs cannot be decoded on ", device, ": ", obstacle);
}

BatchFeed::~BatchFeed() {
  if (next_.valid()) next_.wait();
}

/// The next batch of the workers, its payload on the way to the device. Runs on the thread that
/// fetches ahead.
BatchFeed::Fetched BatchFeed::fetch() {
  const double waited = host_.stats().wait_seconds;
  Fetched next{.made = host_.next()};
  if (!next.made) return next;
  next.waited = host_.stats().wait_seconds - waited;
  if (Tensor& host = payload(*next.made); host.numel() > 0) {
    ring_.begin(host);
    host = {};  // the workers may use its buffer again
  }
  return next;
}

/// Appends the decoded images of the batch's files to its crops.
void BatchFeed::decode(HostBatch& made) {
  std::vector<JpegFile> files;
  std::vector<std::size_t> rows;
  std::int64_t end = made.pixels.numel();
  for (std::size_t row = 0; row < made.jpegs.size(); ++row) {
    if (made.jpegs[row].bytes == 0) continue;
    JpegFile& file = files.emplace_back(made.jpegs[row]);
    rows.push_back(row);
    file.pixels = end;
    made.records[row].begin += end;
    end += file.picture_bytes();
  }
  const MemoryScope scope(MemoryUse::kData);
  const Tensor pixels = Tensor::empty({end}, DType::kU8, ring_.device());
  const std::int64_t crops = made.pixels.numel();
  if (crops > 0) pixels.slice(0, crops).copy_from(made.pixels);
  std::vector<std::size_t> refused;
  decode_files(made.files, files, 0, pixels, refused);
  std::vector<BadRow> failures;
  for (; !refused.empty(); refused.pop_back()) {
    const std::size_t row = rows[refused.back()];
    std::string reason = decode_here(made, row, files[refused.back()], pixels);
    if (reason.empty()) continue;
    const std::int64_t index = made.batch.indices[row];
    failures.insert(failures.begin(), {index, {dataset_.name(index), std::move(reason)}});
    remove_row(made, row);  // from the last to the first, so that earlier rows keep their numbers
  }
  made.pixels = pixels;
  host_.note_failures(failures);
}

/// Decodes a file that the device refused. Returns what is wrong with it; empty if its image is now
/// in `pixels`.
std::string BatchFeed::decode_here(const HostBatch& made, std::size_t row, const JpegFile& file,
                                   const Tensor& pixels) const {
  const Tensor bytes = made.files.slice(file.begin, file.begin + file.bytes);
  Image image;
  try {
    image =
        decode_image(bytes.span<std::uint8_t>(), dataset_.name(made.batch.indices[row]), decode_);
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
      std::optional<HostBatch> made = next_.get().made;
      if (made && uploaded(*made)) ring_.take();
    } catch (const Error&) {
      // of the epoch that is given up
    }
  }
  host_.start_epoch(epoch, first_batch);
}

/// The next batch that has rows, or of a part any batch, its pixels on the GPU; starts to fetch the
/// one after it.
std::optional<HostBatch> BatchFeed::take() {
  for (;;) {
    const Stopwatch stopwatch;
    Fetched fetched = next_.valid() ? next_.get() : fetch();
    const double waited = stopwatch.seconds();
    std::optional<HostBatch>& made = fetched.made;
    if (!made) return made;
    if (uploaded(*made)) payload(*made) = ring_.take();
    if (!made->jpegs.empty()) decode(*made);
    next_ = std::async(std::launch::async, [this] { return fetch(); });
    // Only what the fetch waited for the workers: it also waits for a place in the ring where the
    // host is steps ahead of the GPU.
    stats_.wait_seconds += std::min(waited, fetched.waited);
    if (!made->batch.indices.empty() || !whole_) return made;
  }
}

std::optional<Batch> BatchFeed::next() {
  std::optional<HostBatch> made = ahead() ? take() : host_.next();
  if (!made) return std::nullopt;
  if (ahead()) {
    stats_.images += std::ssize(made->batch.indices);
    ++stats_.batches;
  }
  return finished(*made);
}

const std::vector<BadImage>& BatchFeed::bad_images() {
  settle();
  return host_.bad_images();
}

const std::vector<std::int64_t>& BatchFeed::bad_indices() {
  settle();
  return host_.bad_indices();
}

const LoaderStats& BatchFeed::stats() const {
  return ahead() ? stats_ : host_.stats();
}

}  // namespace invp
