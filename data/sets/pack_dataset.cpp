#include "data/sets/pack_dataset.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cctype>
#include <cstddef>
#include <cstring>
#include <fstream>
#include <string_view>
#include <utility>

#include "data/sets/pack_format.h"
#include "engine/core/error.h"
#include "engine/files/checksum.h"
#include "engine/files/mapped_file.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr const char* kAgain = "; copy it again, or write it again with invp data pack";
constexpr std::uint64_t kHeaderBytes = sizeof(PackHeader);

PackHeader read_header(const FileReader& file) {
  if (file.size() < kHeaderBytes) {
    file.fail_at(file.size(), "the file ends here, before the ", kHeaderBytes,
                 " bytes of a pack's header", kAgain);
  }
  PackHeader header;
  const std::span bytes = std::as_writable_bytes(std::span(&header, 1));
  file.read(0, bytes);
  if (header.magic != kPackMagic) {
    file.fail_at(0, "\"INVPPACK\" was expected: this is no pack; invp data pack writes one");
  }
  if (header.version != kPackVersion) {
    file.fail_at(offsetof(PackHeader, version), "the pack has version ", header.version,
                 ", this program reads version ", kPackVersion,
                 "; write it again with this program's invp data pack");
  }
  if (crc32(bytes.first(offsetof(PackHeader, header_crc))) != header.header_crc) {
    file.fail_at(0, "the header is damaged: it does not have its checksum", kAgain);
  }
  if (file.size() != header.file_bytes) {
    file.fail_at(std::min(file.size(), header.file_bytes), "the file ends ",
                 file.size() < header.file_bytes ? "here" : "beyond this", ": it has ", file.size(),
                 " bytes and was written with ", header.file_bytes, kAgain);
  }
  return header;
}

/// Everything after the images.
struct Index {
  std::vector<PackRecord> records;
  std::vector<Presence> presences;  ///< by picture, by class; or none at all
  std::string text;
  std::string kind;  ///< of the set it was made from
  std::vector<std::string> classes;
};

/// The string of the text that begins at `at`; moves `at` past it.
std::string take_string(const FileReader& file, std::uint64_t text_offset, const std::string& text,
                        std::size_t& at) {
  const std::size_t end = text.find('\0', at);
  if (end == std::string::npos) {
    file.fail_at(text_offset + at, "a name without an end: the index is damaged", kAgain);
  }
  std::string taken = text.substr(at, end - at);
  at = end + 1;
  return taken;
}

void check_record(const FileReader& file, const PackHeader& header, const Index& index,
                  std::size_t i) {
  const PackRecord& record = index.records[i];
  const auto refuse = [&](const char* what) {
    file.fail_at(header.index_offset + i * sizeof(PackRecord), "the record of image ", i, " has ",
                 what, kAgain);
  };
  if (record.offset < kHeaderBytes || record.offset > header.index_offset ||
      record.bytes > header.index_offset - record.offset || record.bytes == 0) {
    refuse("a place outside of the images");
  }
  const std::uint64_t pixels = std::uint64_t{record.width} * record.height;
  constexpr std::uint32_t kLongest = 1 << 30;
  if (pixels == 0 || record.width > kLongest || record.height > kLongest ||
      (header.encoding == PackEncoding::kPixels && record.bytes != 3 * pixels)) {
    refuse("a size that does not fit its pixels");
  }
  if (header.classes == 0 ? record.label != kNoPackLabel : record.label >= header.classes)
    refuse("a label beyond the last class");
  if (record.name >= index.text.size()) refuse("a name outside of the text");
  // All images may have one name, which is copied for each by who asks for them.
  constexpr std::size_t kLongestName = 8192;
  const std::string_view name = std::string_view(index.text).substr(record.name, kLongestName + 1);
  if (name.find('\0') == std::string_view::npos) refuse("a name that is too long, or has no end");
}

Index read_index(const FileReader& file, const PackHeader& header) {
  const auto damaged = [&](const char* what) {
    file.fail_at(header.index_offset, "the index is damaged: ", what, kAgain);
  };
  // The header has its checksum, so wrong numbers were written by the program that made it.
  if (header.index_offset < kHeaderBytes || header.index_offset > file.size())
    damaged("it begins outside of the file");
  const std::uint64_t bytes = file.size() - header.index_offset;
  const std::uint64_t presences_each = header.presences != 0 ? header.classes : 0;
  if (header.images == 0 || header.encoding > PackEncoding::kPixels ||
      header.images > bytes / (sizeof(PackRecord) + presences_each)) {
    damaged("its counts do not fit into the file");
  }
  Index index;
  index.records.resize(static_cast<std::size_t>(header.images));
  index.presences.resize(static_cast<std::size_t>(header.images * presences_each));
  const std::span records = std::as_writable_bytes(std::span(index.records));
  const std::span presences = std::as_writable_bytes(std::span(index.presences));
  const std::uint64_t text_offset = header.index_offset + records.size() + presences.size();
  index.text.resize(static_cast<std::size_t>(file.size() - text_offset));
  const std::span text = std::as_writable_bytes(std::span(index.text));
  file.read(header.index_offset, records);
  file.read(header.index_offset + records.size(), presences);
  file.read(text_offset, text);
  if (crc32(text, crc32(presences, crc32(records))) != header.index_crc)
    damaged("it does not have its checksum");
  if (std::ranges::any_of(index.presences, [](Presence p) { return p > Presence::kUnclear; }))
    damaged("a class that is neither present nor absent nor unclear");

  std::size_t at = 0;
  index.kind = take_string(file, text_offset, index.text, at);
  for (std::uint32_t c = 0; c < header.classes; ++c)
    index.classes.push_back(take_string(file, text_offset, index.text, at));
  for (std::size_t i = 0; i < index.records.size(); ++i) check_record(file, header, index, i);
  return index;
}

class PackDataset final : public Dataset {
 public:
  PackDataset(std::unique_ptr<MappedFile> mapped, const PackHeader& header, Index index)
      : Dataset("pack", labels_of(index), index.classes),
        mapped_(std::move(mapped)),
        header_(header),
        index_(std::move(index)),
        known_good_(index_.records.size()) {}

  std::string name(std::int64_t i) const override {
    return message(mapped_->file().path().string(), '[', i, "] (", &index_.text[record(i).name],
                   ')');
  }

  void fetch(std::int64_t i, Sample& sample) const override {
    const PackRecord& r = record(i);
    const auto bytes = mapped_->bytes(r.offset, r.bytes);
    std::atomic<bool>& known_good = known_good_[place(i)];
    if (!known_good.load(std::memory_order_relaxed)) {
      compare_checksum(i, bytes);
      known_good.store(true, std::memory_order_relaxed);
    }
    if (header_.encoding == PackEncoding::kFiles) {
      sample.encoded = bytes;
      return;
    }
    sample.encoded = {};
    sample.pixels = ImageView(bytes.data(), static_cast<int>(r.width), static_cast<int>(r.height),
                              std::size_t{r.width} * 3);
  }

  void check(std::int64_t i) const override {
    const PackRecord& r = record(i);
    compare_checksum(i, mapped_->bytes(r.offset, r.bytes));
    load(i);
  }

  const std::string& origin() const override { return index_.kind; }

  std::string why_no_labels() const override {
    if (has_labels()) return {};
    return mapped_->file().path().string() + ": this pack is of pictures that had no labels";
  }

  std::span<const Presence> presences(std::int64_t i) const override {
    if (index_.presences.empty()) return {};
    const std::size_t each = header_.classes;
    return std::span(index_.presences).subspan(place(i) * each, each);
  }

  std::string storage() const override {
    std::string text = message("from ", index_.kind, ", ");
    if (header_.encoding == PackEncoding::kPixels) text += "pixels, ";
    text += header_.shorter == 0 ? message("sizes as they were")
                                 : message("shorter side at most ", header_.shorter);
    if (header_.quality > 0) text += message(", JPEG quality ", header_.quality);
    return text;
  }

 protected:
  /// The header, which holds the pack's size and the checksum of its index; the index holds the
  /// size and checksum of each image. No image is read.
  void add_content(Hash& hash) const override { hash.add_bytes(&header_, sizeof header_); }

 private:
  static std::vector<std::int32_t> labels_of(const Index& index) {
    std::vector<std::int32_t> labels;
    labels.reserve(index.records.size());
    for (const PackRecord& record : index.records)
      labels.push_back(static_cast<std::int32_t>(record.label));
    return labels;
  }
  void compare_checksum(std::int64_t i, std::span<const std::uint8_t> bytes) const {
    const PackRecord& r = record(i);
    if (crc32(std::as_bytes(bytes)) == r.crc) return;
    mapped_->file().fail_at(r.offset, "image ", i, " (", &index_.text[r.name],
                            ") is damaged: it does not have its checksum", kAgain);
  }
  const PackRecord& record(std::int64_t i) const { return index_.records[place(i)]; }

  std::unique_ptr<MappedFile> mapped_;
  PackHeader header_;
  Index index_;
  mutable std::vector<std::atomic<bool>> known_good_;  ///< by image: its checksum was compared
};

/// Begin and length of the first word of a file's name that is a split; {0, 0} if there is none.
std::pair<std::size_t, std::size_t> split_word(const std::string& stem) {
  constexpr std::array kWords = {"train", "val", "validation", "test", "extra"};
  const auto letter = [&](std::size_t i) {
    return i < stem.size() && std::isalnum(static_cast<unsigned char>(stem[i])) != 0;
  };
  for (std::size_t begin = 0; begin < stem.size(); ++begin) {
    if (!letter(begin) || (begin > 0 && letter(begin - 1))) continue;
    std::size_t end = begin;
    while (letter(end)) ++end;
    if (std::ranges::find(kWords, stem.substr(begin, end - begin)) != kWords.end())
      return {begin, end - begin};
  }
  return {0, 0};
}

}  // namespace

bool looks_like_pack(const fs::path& file) {
  std::array<char, kPackMagic.size()> begin{};
  std::ifstream in(file, std::ios::binary);
  return in.read(begin.data(), begin.size()) && begin == kPackMagic;
}

std::optional<fs::path> find_pack(const fs::path& path, std::string_view split) {
  const auto if_there = [](const fs::path& file) {
    return fs::is_regular_file(file) ? std::optional(file) : std::nullopt;
  };
  if (fs::is_directory(path)) return if_there(path / (std::string(split) + ".pack"));
  std::string stem = path.stem().string();
  const auto [at, length] = split_word(stem);
  const std::string own = length == 0 ? "train" : stem.substr(at, length);
  if (own == split) return if_there(path);
  if (length == 0) return std::nullopt;
  stem.replace(at, length, split);
  return if_there(path.parent_path() / (stem + path.extension().string()));
}

std::unique_ptr<Dataset> open_pack(const fs::path& file) {
  auto mapped = std::make_unique<MappedFile>(file);
  const PackHeader header = read_header(mapped->file());
  Index index = read_index(mapped->file(), header);
  return std::make_unique<PackDataset>(std::move(mapped), header, std::move(index));
}

}  // namespace invp
