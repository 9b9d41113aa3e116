// Reading parts of a file with errors that name the file and the byte. Positioned reads, not a
// mapping: a disk error or a file cut short meanwhile is an Error instead of a signal.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "engine/core/error.h"

namespace invp {

/// The machine could not do it: too many open files, no memory, a failing disk, a missing right. It
/// says nothing about what a file holds, so a picture that was being read is not a bad one.
class SystemError : public Error {
 public:
  /// `may_recover`: trying again in a moment can help.
  explicit SystemError(const std::string& text, bool may_recover = true)
      : Error(text), may_recover_(may_recover) {}
  bool may_recover() const { return may_recover_; }

 private:
  bool may_recover_;
};

/// There is no such file. Of one that a data set lists, the machine is at fault.
class MissingFile : public Error {
 public:
  using Error::Error;
};

class FileReader {
 public:
  /// Throws MissingFile, and Error for all that is no ordinary file: a folder, a pipe, a
  /// socket, a device. None of them is waited for. Throws SystemError where the machine is at fault
  /// (system_fault), as read() does.
  explicit FileReader(std::filesystem::path path);
  ~FileReader();
  FileReader(const FileReader&) = delete;
  FileReader& operator=(const FileReader&) = delete;

  const std::filesystem::path& path() const { return path_; }
  std::uint64_t size() const { return size_; }
  int descriptor() const { return fd_; }

  /// Fills `bytes` from `offset` on. Throws at the end of the file and for disk errors.
  void read(std::uint64_t offset, std::span<std::byte> bytes) const;
  std::vector<std::byte> read(std::uint64_t offset, std::uint64_t count) const;

  /// "FILE: at byte N: ..."
  template <class... Parts>
  [[noreturn]] void fail_at(std::uint64_t offset, const Parts&... parts) const {
    fail(path_.string(), ": at byte ", offset, ": ", parts...);
  }

 private:
  std::filesystem::path path_;
  int fd_ = -1;
  std::uint64_t size_ = 0;
};

/// What to do about an error of the system (errno) that has nothing to do with what a file holds:
/// "raise the limit with ulimit -n, now 1024, ...". Empty for one that has.
std::string system_fault(int error);
/// Throws SystemError for an error of the system that has an advice, MissingFile where there is no
/// file, otherwise Error. `what` happened to the file: "cannot be opened".
[[noreturn]] void fail_by_system(const std::filesystem::path& path, const std::string& what,
                                 int error);

/// The whole file, at most `limit` bytes.
std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit = 1u << 30);

/// Little-endian integers out of bytes; the caller has checked that they are there.
template <class T>
T little_endian(const std::byte* bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < sizeof(T); ++i) {
    value |= std::to_integer<std::uint64_t>(bytes[i]) << (8 * i);
  }
  return static_cast<T>(value);
}

}  // namespace invp
