#include "data/sets/ten_crops.h"

#include "data/images/transform.h"
#include "engine/core/error.h"

namespace invp {

namespace {

std::vector<std::int32_t> repeated_labels(const Dataset& dataset) {
  std::vector<std::int32_t> labels;
  labels.reserve(static_cast<std::size_t>(dataset.size() * TenCrops::kCrops));
  for (std::int64_t i = 0; i < dataset.size(); ++i)
    labels.insert(labels.end(), TenCrops::kCrops, static_cast<std::int32_t>(dataset.label(i)));
  return labels;
}

}  // namespace

TenCrops::TenCrops(const Dataset& dataset, int resize_shorter, int size)
    : Dataset(dataset.kind(), repeated_labels(dataset), dataset.classes()),
      dataset_(dataset),
      resize_shorter_(resize_shorter),
      size_(size) {
  CHECK(size > 0 && resize_shorter >= size, "[ten crops] of ", size,
        " pixels need a shorter side of at least that, got ", resize_shorter);
}

void TenCrops::fetch(std::int64_t index, Sample& sample) const {
  place(index);
  // Going through the set in order decodes and shrinks each image once.
  if (sample.whole_index != index / kCrops) {
    sample.whole_index = -1;
    sample.whole = resize_shorter(dataset_.load(index / kCrops), resize_shorter_);
    sample.whole_index = index / kCrops;
  }
  const Image& image = sample.whole;
  const Box box =
      five_boxes(image.width, image.height, size_).at(static_cast<std::size_t>(index % kCrops % 5));
  const bool mirrored = index % kCrops >= 5;
  sample.drawn = mirrored ? crop(hflip(image), box) : crop(image, box);
  sample.encoded = {};
  sample.pixels = sample.drawn;
}

void TenCrops::add_content(Hash& hash) const {
  hash.add_text(dataset_.identity());
  hash.add(static_cast<std::uint64_t>(resize_shorter_));
  hash.add(static_cast<std::uint64_t>(size_));
}

}  // namespace invp
