// A file's bytes as memory, read by nobody but the page cache: for many small reads, in any order,
// without a copy.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>

#include "engine/files/file_reader.h"

namespace invp {

class MappedFile {
 public:
  /// Throws as FileReader does, and when the file cannot be mapped.
  explicit MappedFile(std::filesystem::path path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  /// The same file through read calls, with its size when it was opened.
  const FileReader& file() const { return file_; }

  /// Bytes [offset, offset + count), valid as long as this object; has the system read them ahead.
  /// Throws when they do not lie in the file, or when it has become shorter since it was opened.
  ///
  /// A file that is cut between this call and the use of the bytes, or whose disk fails, kills the
  /// process by SIGBUS: replace such a file by renaming another over it, which leaves this mapping
  /// what it was, and never write into it.
  std::span<const std::uint8_t> bytes(std::uint64_t offset, std::uint64_t count) const;

 private:
  FileReader file_;
  const std::uint8_t* data_ = nullptr;
};

}  // namespace invp
