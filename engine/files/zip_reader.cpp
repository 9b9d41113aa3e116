#include "engine/files/zip_reader.h"

#include <unistd.h>
#include <zip.h>

#include <array>

namespace invp {
namespace {

constexpr const char* kDamaged =
    "; the file was cut short or is damaged: copy or download it again";

std::uint64_t most_contents(const FileReader& file) {
  return 16 * file.size() + (std::uint64_t{64} << 20);
}

zip* open_archive(const FileReader& file) {
  int error = 0;
  const int descriptor = ::dup(file.descriptor());
  zip* archive = zip_fdopen(descriptor, 0, &error);
  if (archive != nullptr) return archive;  // which has closed the descriptor
  ::close(descriptor);
  zip_error_t reason;
  zip_error_init_with_code(&reason, error);
  const std::string text = zip_error_strerror(&reason);
  zip_error_fini(&reason);
  fail(file.path().string(), ": the zip archive cannot be read (", text, ")", kDamaged);
}

}  // namespace

ZipReader::ZipReader(const std::filesystem::path& path)
    : file_(path), archive_(open_archive(file_), zip_discard) {
  const auto count = static_cast<std::uint64_t>(zip_get_num_entries(archive_.get(), 0));
  const std::uint64_t limit = most_contents(file_);
  entries_.reserve(count);  // so that the names in places_ stay where they are
  for (std::uint64_t i = 0; i < count; ++i) {
    add_entry(i, limit);
    const std::string& name = entries_.back().name;
    if (!places_.emplace(name, i).second) broken(name, "is there twice");
  }
}

void ZipReader::add_entry(std::uint64_t index, std::uint64_t limit) {
  zip_stat_t stat;
  constexpr zip_uint64_t kWanted = ZIP_STAT_NAME | ZIP_STAT_SIZE;
  if (zip_stat_index(archive_.get(), index, ZIP_FL_ENC_RAW, &stat) != 0 ||
      (stat.valid & kWanted) != kWanted) {
    fail(file_.path().string(), ": entry ", index, " of the zip archive has no name or size",
         kDamaged);
  }
  if (stat.size > limit - contents_) {
    fail(file_.path().string(), ": \"", stat.name, "\" in the zip archive takes it beyond ", limit,
         " bytes unpacked, which is refused for a file of ", file_.size(),
         " bytes; if you trust it, unpack it and zip it with \"zip -0\"");
  }
  contents_ += stat.size;
  constexpr zip_uint64_t kStorage = ZIP_STAT_COMP_METHOD | ZIP_STAT_CRC;
  const bool without_crc =
      (stat.valid & kStorage) == kStorage && stat.comp_method == ZIP_CM_STORE && stat.crc == 0;
  entries_.push_back({stat.name, stat.size, index, without_crc});
}

const ZipReader::Entry* ZipReader::find(std::string_view name) const {
  const auto found = places_.find(name);
  return found == places_.end() ? nullptr : &entries_[found->second];
}

void ZipReader::read(const Entry& entry, std::span<std::byte> bytes) const {
  CHECK(bytes.size() == entry.size, "[zip] ", bytes.size(), " bytes for an entry of ", entry.size);
  const std::unique_ptr<zip_file_t, int (*)(zip_file_t*)> file(
      zip_fopen_index(archive_.get(), entry.index, 0), zip_fclose);
  if (file == nullptr) broken(entry.name, zip_strerror(archive_.get()));
  const auto read_some = [&](std::span<std::byte> to) {
    const zip_int64_t done = zip_fread(file.get(), to.data(), to.size());
    if (done < 0) broken(entry.name, zip_file_strerror(file.get()));
    return static_cast<std::size_t>(done);
  };
  while (!bytes.empty()) {
    const std::size_t done = read_some(bytes);
    if (done == 0) broken(entry.name, "is shorter than the directory says");
    bytes = bytes.subspan(done);
  }
  // libzip compares the CRC when it meets the end.
  if (entry.without_crc) return;
  std::array<std::byte, 1> more;
  if (read_some(more) != 0) broken(entry.name, "is longer than the directory says");
}

std::vector<std::byte> ZipReader::read(const Entry& entry) const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(entry.size));
  read(entry, bytes);
  return bytes;
}

void ZipReader::broken(std::string_view name, std::string_view reason) const {
  fail(file_.path().string(), ": \"", name, "\" in the zip archive cannot be read (", reason, ")",
       kDamaged);
}

}  // namespace invp
