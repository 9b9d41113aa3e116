#include "data/sets/dataset.h"

#include "data/images/decode.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {

Image Dataset::load(std::int64_t index) const {
  Sample sample;
  fetch(index, sample);
  if (sample.is_encoded()) return decode_image(sample.encoded, name(index));
  return crop(sample.pixels, {0, 0, sample.pixels.width, sample.pixels.height});
}

FileDataset::FileDataset(std::string kind, std::filesystem::path root,
                         std::vector<std::string> paths, std::vector<std::int32_t> labels,
                         std::vector<std::string> classes)
    : Dataset(std::move(kind), std::move(labels), std::move(classes)),
      root_(std::move(root)),
      paths_(std::move(paths)) {
  CHECK(std::ssize(paths_) == size(), "[dataset] ", paths_.size(), " paths for ", size(),
        " labels");
}

std::string FileDataset::name(std::int64_t index) const {
  return (root_ / paths_[static_cast<std::size_t>(index)]).string();
}

void FileDataset::fetch(std::int64_t index, Sample& sample) const {
  const FileReader file(root_ / paths_[static_cast<std::size_t>(index)]);
  CHECK(file.size() > 0, file.path().string(), ": the file is empty");
  // Larger than any picture within the decoder's limit on pixels.
  constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 30;
  CHECK(file.size() <= kMaxFile, file.path().string(), ": ", file.size(),
        " bytes are too many for a picture");
  sample.file.resize(static_cast<std::size_t>(file.size()));
  file.read(0, std::as_writable_bytes(std::span(sample.file)));
  sample.encoded = sample.file;
}

PixelDataset::PixelDataset(std::string kind, int width, int height,
                           std::vector<std::uint8_t> pixels, std::vector<Source> sources,
                           std::vector<std::int32_t> labels, std::vector<std::string> classes)
    : Dataset(std::move(kind), std::move(labels), std::move(classes)),
      width_(width),
      height_(height),
      pixels_(std::move(pixels)),
      sources_(std::move(sources)) {
  std::int64_t named = 0;
  for (const Source& source : sources_) named += source.count;
  CHECK(named == size() &&
            pixels_.size() == Image::bytes(width, height) * static_cast<std::size_t>(size()),
        "[dataset] ", pixels_.size(), " bytes of pixels from ", named, " pictures for ", size(),
        " labels");
}

std::string PixelDataset::name(std::int64_t index) const {
  for (const Source& source : sources_) {
    if (index < source.count) return message(source.file, '[', index, ']');
    index -= source.count;
  }
  fail("[dataset] there is no picture ", index, " beyond the last");
}

void PixelDataset::fetch(std::int64_t index, Sample& sample) const {
  const std::size_t begin = Image::bytes(width_, height_) * static_cast<std::size_t>(index);
  sample.encoded = {};
  sample.pixels = {&pixels_[begin], width_, height_, static_cast<std::size_t>(width_) * 3};
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  std::vector<std::string> classes;
  for (std::int64_t i = 0; i < count; ++i) classes.push_back(std::to_string(i));
  return classes;
}

}  // namespace invp
