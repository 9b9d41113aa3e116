// A file's bytes as memory, straight from the page cache: for many small reads in any order,
// without copies.
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

  /// Bytes [offset, offset + count), valid as long as this object. The system is asked to read them
  /// ahead. Throws when they do not lie in the file, or when it has become shorter since it was
  /// opened.
  ///
  /// Throws SystemError if the disk fails, from Linux 5.14 on. If the file is truncated between
  /// this call and the use of the bytes, SIGBUS kills the process. So never write into such a file:
  /// rename another file over it, which leaves this mapping alone.
  std::span<const std::uint8_t> bytes(std::uint64_t offset, std::uint64_t count) const;

 private:
  FileReader file_;
  const std::uint8_t* data_ = nullptr;
};

}  // namespace invp
