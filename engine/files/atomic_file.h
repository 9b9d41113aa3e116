// Writes a file as a whole: readers of the path see the old file or the new one, never a part of
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string_view>

namespace invp {

/// Writes PATH.partial in the same folder; commit() flushes it to the disk, renames it over the
/// path and flushes the folder. Destroyed without commit(), it removes the partial file. Every
/// failure throws an Error with the file, the system's reason and what to do; the old file is then
/// untouched.
///
/// The partial name is fixed and locked: one left by a killed process is overwritten by the next
/// writer instead of filling the disk, and two live writers of one path are an error.
class AtomicFile {
 public:
  explicit AtomicFile(std::filesystem::path path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void append(std::span<const std::byte> bytes);
  void append(std::string_view text) { append(std::as_bytes(std::span(text))); }
  /// Writes over bytes that were appended before, all of them.
  void overwrite(std::int64_t offset, std::span<const std::byte> bytes);
  void commit();

  std::int64_t bytes_written() const { return written_; }

 private:
  void open_partial();
  [[noreturn]] void fail_with(const char* what, int error);
  void discard() noexcept;

  std::filesystem::path path_;
  std::filesystem::path partial_;
  int fd_ = -1;
  std::int64_t written_ = 0;
};

/// Writes `path` with this content.
void write_file(const std::filesystem::path& path, std::string_view content);

}  // namespace invp
