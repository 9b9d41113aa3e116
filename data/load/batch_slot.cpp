#include "data/load/batch_slot.h"

#include <algorithm>

#include "data/sets/patient_fetch.h"
#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

/// The workers decode larger images: a batch of them would fill the device.
constexpr std::int64_t kLargestDecoded = std::int64_t{48} << 20;

void place(AugmentRecord& record, std::int64_t begin, std::int64_t row_bytes, int width,
           int height) {
  record.begin = begin;
  record.row_bytes = row_bytes;
  record.width = width;
  record.height = height;
}

}  // namespace

void ByteBuffer::begin(std::int64_t rows, std::int64_t bytes) {
  late_.assign(static_cast<std::size_t>(rows), {});
  used_ = 0;
  // If the last batch made here is still held, its holder keeps the buffer.
  if (bytes_.defined() && bytes_.unique()) return;
  const MemoryScope scope(MemoryUse::kData);
  const std::int64_t wanted = bytes_.defined() ? capacity() : bytes;
  bytes_ = Tensor();
  bytes_ = Tensor::empty({wanted}, DType::kU8);
}

ByteBuffer::Room ByteBuffer::take(std::int64_t row, std::int64_t bytes) {
  const std::int64_t begin = used_.fetch_add(bytes);
  if (begin + bytes <= capacity()) return {begin, bytes_.data<std::uint8_t>() + begin};
  Late& late = late_[static_cast<std::size_t>(row)];
  late = {begin, std::vector<std::uint8_t>(static_cast<std::size_t>(bytes))};
  return {begin, late.bytes.data()};
}

Tensor ByteBuffer::finish() {
  const std::int64_t used = used_;
  if (used > capacity()) {
    const MemoryScope scope(MemoryUse::kData);
    const Tensor larger = Tensor::empty({used + used / 4}, DType::kU8);
    std::copy_n(bytes_.data<std::uint8_t>(), capacity(), larger.data<std::uint8_t>());
    for (const Late& late : late_)
      std::ranges::copy(late.bytes, larger.data<std::uint8_t>() + late.begin);
    bytes_ = larger;
  }
  return bytes_.slice(0, used);
}

void BatchSlot::begin(std::int64_t position, std::span<const std::int64_t> planned,
                      const AugmentConfig& augment, const LoaderOptions& options) {
  position_ = position;
  planned_ = std::ssize(planned);
  const RowRange rows = options.part.rows(planned_);
  first_ = rows.first;
  const auto indices =
      planned.subspan(static_cast<std::size_t>(rows.first), static_cast<std::size_t>(rows.count()));
  indices_.assign(indices.begin(), indices.end());
  reasons_.assign(indices.size(), {});
  augment_on_ = options.augment_on;
  output_ = to_output(augment);
  const std::int64_t size = augment.image_size;
  const std::int64_t batch_size = options.part.most_rows(options.batch_size);
  if (augment_on_ == AugmentOn::kDevice) {
    const bool files = options.decode_on == DecodeOn::kDevice;
    records_.assign(indices.size(), {});
    jpegs_.assign(files ? indices.size() : 0, {});
    crops_.begin(std::ssize(indices), files ? 0 : batch_size * size * size * 3);
    files_.begin(std::ssize(indices), 0);
    return;
  }
  // If the last batch made here is still held, its holder keeps the buffer.
  if (!images_.defined() || !images_.unique()) {
    const MemoryScope scope(MemoryUse::kData);
    images_ = Tensor();
    images_ = Tensor::empty({batch_size, size, size, 3});
  }
}

/// Passes on a file for the device to decode. False if the device does not decode such files.
bool BatchSlot::pass_file(std::int64_t row, std::span<const std::uint8_t> bytes,
                          const std::string& name, const LoaderOptions& options,
                          const AugmentConfig& augment, Random& random) {
  const ImageInfo info = read_image_info(bytes, name, options.decode);
  JpegFile file{.bytes = std::ssize(bytes), .width = info.width, .height = info.height};
  if (!info.plain_jpeg || file.picture_bytes() > kLargestDecoded) return false;
  const auto [begin, to] = files_.take(row, file.bytes);
  std::ranges::copy(bytes, to);
  file.begin = begin;
  jpegs_[static_cast<std::size_t>(row)] = file;
  const auto parameters = draw_parameters(augment, info.width, info.height, random);
  const Box& crop = parameters.crop;
  AugmentRecord& record = records_[static_cast<std::size_t>(row)];
  record = to_record(parameters);
  place(record, crop.y * file.row_bytes() + crop.x * 3, file.row_bytes(), crop.width, crop.height);
  return true;
}

void BatchSlot::make_row(std::int64_t row, const Augmenter::Crop& crop, Augmenter& augmenter) {
  if (augment_on_ == AugmentOn::kDevice) {
    AugmentRecord& record = records_[static_cast<std::size_t>(row)];
    record = to_record(crop.parameters);
    const std::int64_t row_bytes = std::int64_t{crop.pixels.width} * 3;
    auto [begin, to] = crops_.take(row, row_bytes * crop.pixels.height);
    for (int y = 0; y < crop.pixels.height; ++y)
      to = std::copy_n(crop.pixels.row(y), row_bytes, to);
    place(record, begin, row_bytes, crop.pixels.width, crop.pixels.height);
    return;
  }
  const std::int64_t row_size = images_.numel() / images_.dim(0);
  augmenter.finish_into(crop, images_.data<float>() + row * row_size);
}

void BatchSlot::fill(std::int64_t first, std::int64_t last, const Dataset& dataset,
                     const LoaderOptions& options, std::int64_t epoch, BatchMaker& maker) {
  Augmenter& augmenter = maker.augmenter;
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t index = indices_[static_cast<std::size_t>(row)];
    Random random(options.seed, Purpose::kAugmentation, static_cast<std::uint64_t>(epoch),
                  static_cast<std::uint64_t>(index));
    Sample& sample = maker.sample;
    try {
      fetch_patiently(dataset, index, sample, options.patience);
      if (!jpegs_.empty() && sample.is_encoded() &&
          pass_file(row, sample.encoded, dataset.name(index), options, augmenter.config(), random))
        continue;
      const Augmenter::Crop crop =
          sample.is_encoded()
              ? augmenter.take_crop(sample.encoded, dataset.name(index), random, options.decode)
              : augmenter.take_crop(sample.pixels, random);
      make_row(row, crop, augmenter);
    } catch (const SystemError&) {
      throw;  // the machine's fault, not the image's
    } catch (const Error& error) {
      reasons_[static_cast<std::size_t>(row)] = error.what();
    }
  }
}

HostBatch BatchSlot::finish(const Dataset& dataset, std::vector<BadRow>& failures) {
  HostBatch made;
  Batch& batch = made.batch;
  batch.position = position_;
  batch.planned = planned_;
  made.output = output_;
  const bool on_workers = augment_on_ == AugmentOn::kWorkers;
  const std::int64_t row_size = on_workers ? images_.numel() / images_.dim(0) : 0;
  float* const rows = on_workers ? images_.data<float>() : nullptr;
  for (std::int64_t row = 0; row < size(); ++row) {
    const auto at = static_cast<std::size_t>(row);
    const std::int64_t index = indices_[at];
    if (!reasons_[at].empty()) {
      failures.push_back({index, {dataset.name(index), std::move(reasons_[at])}});
      continue;
    }
    const std::int64_t kept = std::ssize(batch.indices);
    if (on_workers && kept != row)
      std::copy_n(rows + row * row_size, row_size, rows + kept * row_size);
    if (!on_workers) made.records.push_back(records_[at]);
    if (!jpegs_.empty()) made.jpegs.push_back(jpegs_[at]);
    batch.indices.push_back(index);
    batch.places.push_back(first_ + row);
    batch.labels.push_back(dataset.label(index));
  }
  if (on_workers) {
    batch.images = images_.slice(0, std::ssize(batch.indices));
  } else {
    made.pixels = crops_.finish();
    if (!jpegs_.empty()) made.files = files_.finish();
  }
  return made;
}

}  // namespace invp
