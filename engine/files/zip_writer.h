// Writing stored (uncompressed) zip archives, zip64 where sizes ask for it: the form torch.load
// reads. Format: PKWARE APPNOTE 6.3, sections 4.3 to 4.5.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/files/atomic_file.h"

namespace invp {

class ZipWriter {
 public:
  explicit ZipWriter(const std::filesystem::path& path) : file_(path) {}

  /// The bytes begin at a multiple of `alignment` in the file, so that they can be mapped.
  void add(std::string name, std::span<const std::byte> bytes, std::uint64_t alignment = 64);
  void add(std::string name, std::string_view text) {
    add(std::move(name), std::as_bytes(std::span(text)));
  }
  /// Writes the directory and puts the archive in its place (atomic_file.h); without it no
  /// file remains.
  void commit();

 private:
  struct Entry {
    std::string name;
    std::uint64_t size = 0;
    std::uint32_t crc = 0;
    std::uint64_t header = 0;
  };

  AtomicFile file_;
  std::vector<Entry> entries_;
};

}  // namespace invp
