#include "data/batch_slot.h"

#include <algorithm>

#include "engine/core/error.h"

namespace invp {

void CropBuffer::begin(std::int64_t rows, std::int64_t bytes) {
  late_.assign(static_cast<std::size_t>(rows), {});
  used_ = 0;
  // Somebody may still hold the last batch made here: it stays theirs.
  if (pixels_.defined() && pixels_.unique()) return;
  const MemoryScope scope(MemoryUse::kData);
  const std::int64_t wanted = pixels_.defined() ? capacity() : bytes;
  pixels_ = Tensor();
  pixels_ = Tensor::empty({wanted}, DType::kU8);
}

void CropBuffer::put(std::int64_t row, ImageView crop, AugmentRecord& record) {
  const std::size_t row_bytes = static_cast<std::size_t>(crop.width) * 3;
  const std::int64_t bytes = static_cast<std::int64_t>(row_bytes) * crop.height;
  record.begin = used_.fetch_add(bytes);
  record.row_bytes = static_cast<std::int64_t>(row_bytes);
  record.width = crop.width;
  record.height = crop.height;
  std::uint8_t* to = pixels_.data<std::uint8_t>() + record.begin;
  if (record.begin + bytes > capacity()) {
    Late& late = late_[static_cast<std::size_t>(row)];
    late = {record.begin, std::vector<std::uint8_t>(static_cast<std::size_t>(bytes))};
    to = late.bytes.data();
  }
  for (int y = 0; y < crop.height; ++y) to = std::copy_n(crop.row(y), row_bytes, to);
}

Tensor CropBuffer::finish() {
  const std::int64_t used = used_;
  if (used > capacity()) {
    const MemoryScope scope(MemoryUse::kData);
    const Tensor larger = Tensor::empty({used + used / 4}, DType::kU8);
    std::copy_n(pixels_.data<std::uint8_t>(), capacity(), larger.data<std::uint8_t>());
    for (const Late& late : late_)
      std::ranges::copy(late.bytes, larger.data<std::uint8_t>() + late.begin);
    pixels_ = larger;
  }
  return pixels_.slice(0, used);
}

void BatchSlot::begin(std::int64_t position, std::span<const std::int64_t> indices,
                      const AugmentConfig& augment, std::int64_t batch_size, AugmentOn augment_on) {
  position_ = position;
  indices_.assign(indices.begin(), indices.end());
  reasons_.assign(indices.size(), {});
  augment_on_ = augment_on;
  output_ = to_output(augment);
  const std::int64_t size = augment.image_size;
  if (augment_on == AugmentOn::kDevice) {
    records_.assign(indices.size(), {});
    crops_.begin(std::ssize(indices), batch_size * size * size * 3);
    return;
  }
  // Somebody may still hold the last batch made here: it stays theirs.
  if (!images_.defined() || !images_.unique()) {
    const MemoryScope scope(MemoryUse::kData);
    images_ = Tensor();
    images_ = Tensor::empty({batch_size, size, size, 3});
  }
}

void BatchSlot::make_row(std::int64_t row, const Augmenter::Crop& crop, Augmenter& augmenter) {
  if (augment_on_ == AugmentOn::kDevice) {
    AugmentRecord& record = records_[static_cast<std::size_t>(row)];
    record = to_record(crop.parameters);
    crops_.put(row, crop.pixels, record);
    return;
  }
  const std::int64_t row_size = images_.numel() / images_.dim(0);
  augmenter.finish_into(crop, images_.data<float>() + row * row_size);
}

void BatchSlot::fill(std::int64_t first, std::int64_t last, const Dataset& dataset,
                     std::uint64_t seed, std::int64_t epoch, const DecodeOptions& decode,
                     BatchMaker& maker) {
  Augmenter& augmenter = maker.augmenter;
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t index = indices_[static_cast<std::size_t>(row)];
    Random random(seed, Purpose::kAugmentation, static_cast<std::uint64_t>(epoch),
                  static_cast<std::uint64_t>(index));
    Sample& sample = maker.sample;
    try {
      dataset.fetch(index, sample);
      const Augmenter::Crop crop =
          sample.is_encoded()
              ? augmenter.take_crop(sample.encoded, dataset.name(index), random, decode)
              : augmenter.take_crop(sample.pixels, random);
      make_row(row, crop, augmenter);
    } catch (const Error& error) {
      reasons_[static_cast<std::size_t>(row)] = error.what();
    }
  }
}

Batch BatchSlot::finish(const Dataset& dataset, std::vector<Failure>& failures) {
  Batch batch;
  batch.position = position_;
  batch.output = output_;
  const bool on_cpu = augment_on_ == AugmentOn::kWorkers;
  const std::int64_t row_size = on_cpu ? images_.numel() / images_.dim(0) : 0;
  float* const rows = on_cpu ? images_.data<float>() : nullptr;
  for (std::int64_t row = 0; row < size(); ++row) {
    const std::int64_t index = indices_[static_cast<std::size_t>(row)];
    std::string& reason = reasons_[static_cast<std::size_t>(row)];
    if (!reason.empty()) {
      failures.push_back({index, {dataset.name(index), std::move(reason)}});
      continue;
    }
    const std::int64_t kept = std::ssize(batch.indices);
    if (!on_cpu) {
      batch.records.push_back(records_[static_cast<std::size_t>(row)]);
    } else if (kept != row) {
      std::copy_n(rows + row * row_size, row_size, rows + kept * row_size);
    }
    batch.indices.push_back(index);
    batch.labels.push_back(dataset.label(index));
  }
  if (on_cpu) {
    batch.images = images_.slice(0, std::ssize(batch.indices));
  } else {
    batch.pixels = crops_.finish();
  }
  return batch;
}

}  // namespace invp
