// Reading zip archives by libzip: stored and compressed entries, zip64, data descriptors.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/files/file_reader.h"

struct zip;  // libzip's archive

namespace invp {

class ZipReader {
 public:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;   ///< bytes, unpacked
    std::uint64_t index = 0;  ///< libzip's
    /// Stored, and with a CRC of 0: torch writes that when it is told to compute none.
    bool without_crc = false;
  };

  /// Reads the directory. Throws Error for damaged archives, for archives in several parts, for
  /// names given twice, and for archives whose entries unpack to more than 64 MiB plus 16 times
  /// the size of the file: a small file must not fill the memory.
  explicit ZipReader(const std::filesystem::path& path);

  const std::vector<Entry>& entries() const { return entries_; }
  /// Null if there is none.
  const Entry* find(std::string_view name) const;
  /// Bytes of all entries together, unpacked.
  std::uint64_t contents() const { return contents_; }

  /// Reads an entry into `bytes`, which has entry.size of them, and checks its CRC if it has one.
  /// Stored entries are read straight into `bytes`. Throws Error with the names of file and entry
  /// for damaged, encrypted and unknown kinds of entries.
  void read(const Entry& entry, std::span<std::byte> bytes) const;
  std::vector<std::byte> read(const Entry& entry) const;

 private:
  void add_entry(std::uint64_t index, std::uint64_t limit);
  [[noreturn]] void broken(std::string_view name, std::string_view reason) const;

  FileReader file_;
  std::unique_ptr<zip, void (*)(zip*)> archive_;
  std::vector<Entry> entries_;
  std::unordered_map<std::string_view, std::size_t> places_;  ///< in entries_, by name
  std::uint64_t contents_ = 0;
};

}  // namespace invp
