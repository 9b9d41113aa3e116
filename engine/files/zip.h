// Reading stored (uncompressed) zip archives, zip64 included: what torch.save writes.
// Format: PKWARE APPNOTE 6.3, sections 4.3 to 4.5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/files/file_reader.h"

namespace invp {

class ZipReader {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    std::uint64_t header = 0;  ///< where its local header begins
  };

  /// Reads the central directory. Throws for anything damaged, names given twice, archives in
  /// several parts and encrypted entries. Compressed entries are refused when they are read.
  explicit ZipReader(const std::filesystem::path& path);

  const FileReader& file() const { return file_; }
  const std::vector<Entry>& entries() const { return entries_; }
  /// Null when there is none.
  const Entry* find(std::string_view name) const;

  /// The bytes of an entry into `bytes`, which has entry.size of them; checks the CRC-32.
  void read(const Entry& entry, std::span<std::byte> bytes) const;
  std::vector<std::byte> read(const Entry& entry) const;

 private:
  void read_directory(std::uint64_t begin, std::uint64_t size, std::uint64_t count);
  void read_zip64_fields(std::span<const std::byte> extra, std::uint64_t at, std::uint64_t packed,
                         Entry& entry) const;

  FileReader file_;
  std::vector<Entry> entries_;
};

}  // namespace invp
