#include "data/batch_slot.h"

#include <algorithm>

#include "engine/core/error.h"

namespace invp {

void BatchSlot::begin(std::int64_t position, std::span<const std::int64_t> indices, int image_size,
                      std::int64_t batch_size) {
  position_ = position;
  indices_.assign(indices.begin(), indices.end());
  reasons_.assign(indices.size(), {});
  // Somebody may still hold the last batch made here: it stays theirs.
  if (!images_.defined() || !images_.unique()) {
    const MemoryScope scope(MemoryUse::kData);
    images_ = Tensor();
    images_ = Tensor::empty({batch_size, image_size, image_size, 3});
  }
}

void BatchSlot::fill(std::int64_t first, std::int64_t last, const Dataset& dataset,
                     std::uint64_t seed, std::int64_t epoch, const DecodeOptions& decode,
                     BatchMaker& maker) {
  const std::int64_t row_size = images_.numel() / images_.dim(0);
  for (std::int64_t row = first; row < last; ++row) {
    const std::int64_t index = indices_[static_cast<std::size_t>(row)];
    float* out = images_.data<float>() + row * row_size;
    Random random(seed, Purpose::kAugmentation, static_cast<std::uint64_t>(epoch),
                  static_cast<std::uint64_t>(index));
    Sample& sample = maker.sample;
    try {
      dataset.fetch(index, sample);
      if (sample.is_encoded()) {
        maker.augmenter.augment_into(sample.encoded, dataset.name(index), random, out, decode);
      } else {
        maker.augmenter.augment_into(sample.pixels, random, out);
      }
    } catch (const Error& error) {
      reasons_[static_cast<std::size_t>(row)] = error.what();
    }
  }
}

Batch BatchSlot::finish(const Dataset& dataset, std::vector<Failure>& failures) {
  Batch batch;
  batch.position = position_;
  const std::int64_t row_size = images_.numel() / images_.dim(0);
  float* rows = images_.data<float>();
  for (std::int64_t row = 0; row < size(); ++row) {
    const std::int64_t index = indices_[static_cast<std::size_t>(row)];
    std::string& reason = reasons_[static_cast<std::size_t>(row)];
    if (!reason.empty()) {
      failures.push_back({index, {dataset.name(index), std::move(reason)}});
      continue;
    }
    const std::int64_t kept = std::ssize(batch.indices);
    if (kept != row) std::copy_n(rows + row * row_size, row_size, rows + kept * row_size);
    batch.indices.push_back(index);
    batch.labels.push_back(dataset.label(index));
  }
  batch.images = images_.slice(0, std::ssize(batch.indices));
  return batch;
}

}  // namespace invp
