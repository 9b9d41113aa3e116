#include "data/sets/dataset.h"

#include <system_error>

#include "data/images/decode.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/files/file_reader.h"

namespace invp {

Image Dataset::load(std::int64_t index) const {
  Sample sample;
  fetch(index, sample);
  if (sample.is_encoded()) return decode_image(sample.encoded, name(index));
  return crop(sample.pixels, {0, 0, sample.pixels.width, sample.pixels.height});
}

void Dataset::no_image(std::int64_t index) const {
  fail("[dataset] image ", index, " was asked for; this ", kind_, " set has ", size(),
       ", numbered from 0");
}

const std::string& Dataset::identity() const {
  std::call_once(identified_, [&] {
    Hash hash;
    hash.add(classes_.size());
    for (const std::string& name : classes_) hash.add_text(name);
    hash.add(labels_.size());
    for (std::int64_t i = 0; i < size(); ++i) {
      hash.add(static_cast<std::uint64_t>(label(i)));
      for (const Presence presence : presences(i)) hash.add(static_cast<std::uint64_t>(presence));
    }
    add_content(hash);
    identity_ = hash.hex();
  });
  return identity_;
}

void Dataset::add_content(Hash& hash) const {
  for (std::int64_t i = 0; i < size(); ++i) hash.add_text(name(i));
}

namespace {

/// The set named the file when it was opened.
FileReader open_listed(const std::filesystem::path& path) {
  try {
    return FileReader(path);
  } catch (const MissingFile&) {
    throw SystemError(message(path.string(),
                              ": belongs to the data set, but is not there (No such "
                              "file or directory): is its disk still mounted?"));
  }
}

}  // namespace

FileDataset::FileDataset(std::string kind, std::filesystem::path root,
                         std::vector<std::string> paths, std::vector<std::int32_t> labels,
                         std::vector<std::string> classes, FileNotes notes)
    : Dataset(std::move(kind), std::move(labels), std::move(classes)),
      root_(std::move(root)),
      paths_(std::move(paths)),
      notes_(std::move(notes)) {
  CHECK(std::ssize(paths_) == size(), "[dataset] ", paths_.size(), " paths for ", size(),
        " labels");
}

std::string FileDataset::name(std::int64_t index) const {
  return (root_ / paths_[place(index)]).string();
}

void FileDataset::fetch(std::int64_t index, Sample& sample) const {
  const FileReader file = open_listed(root_ / paths_[place(index)]);
  CHECK(file.size() > 0, file.path().string(), ": the file is empty");
  // Larger than any image within the decoder's limit on pixels.
  constexpr std::uint64_t kMaxFile = std::uint64_t{1} << 30;
  CHECK(file.size() <= kMaxFile, file.path().string(), ": ", file.size(),
        " bytes are too many for an image");
  sample.file.resize(static_cast<std::size_t>(file.size()));
  file.read(0, std::as_writable_bytes(std::span(sample.file)));
  sample.encoded = sample.file;
}

void FileDataset::add_content(Hash& hash) const {
  std::vector<std::uintmax_t> sizes(paths_.size());
  constexpr std::int64_t kGrain = 256;  // on a network, many questions at a time are faster
  parallel_for(0, size(), kGrain, [&](std::int64_t first, std::int64_t last) {
    for (auto i = static_cast<std::size_t>(first); i < static_cast<std::size_t>(last); ++i) {
      std::error_code error;
      sizes[i] = std::filesystem::file_size(root_ / paths_[i], error);  // then the largest number
      if (!system_fault(error.value()).empty())
        fail_by_system(root_ / paths_[i], "cannot be looked at", error.value());
    }
  });
  for (std::size_t i = 0; i < paths_.size(); ++i) {
    hash.add_text(paths_[i]);
    hash.add(sizes[i]);
  }
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
        "[dataset] ", pixels_.size(), " bytes of pixels from ", named, " images for ", size(),
        " labels");
}

std::string PixelDataset::name(std::int64_t index) const {
  std::int64_t left = static_cast<std::int64_t>(place(index));
  for (const Source& source : sources_) {
    if (left < source.count) return message(source.file, '[', left, ']');
    left -= source.count;
  }
  no_image(index);
}

void PixelDataset::fetch(std::int64_t index, Sample& sample) const {
  const std::size_t begin = Image::bytes(width_, height_) * place(index);
  sample.encoded = {};
  sample.pixels = {&pixels_[begin], width_, height_, static_cast<std::size_t>(width_) * 3};
}

void PixelDataset::add_content(Hash& hash) const {
  hash.add(static_cast<std::uint64_t>(width_));
  hash.add(static_cast<std::uint64_t>(height_));
  for (const Source& source : sources_) {
    hash.add_text(std::filesystem::path(source.file).filename().string());
    hash.add(static_cast<std::uint64_t>(source.count));
  }
  hash.add_bytes(pixels_.data(), pixels_.size());
}

std::vector<std::string> numbered_classes(std::int64_t count) {
  std::vector<std::string> classes;
  classes.reserve(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) classes.push_back(std::to_string(i));
  return classes;
}

}  // namespace invp
