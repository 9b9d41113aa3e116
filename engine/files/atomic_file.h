// Writing files so that what is written stays: a whole file or none, and lines that are added to
// one. Everything that a run leaves on a disk goes through here.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>

namespace invp {

/// Readers of the path see the old file or the new one, never a part of it, whatever happens.
///
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

/// Makes `path` another name of the file `from`, in one step, and flushes its folder. False where
/// the file system has no such names: nothing has changed then. Throws Error for other failures.
bool link_file(const std::filesystem::path& from, const std::filesystem::path& path);

/// Makes the folder and those above it that are missing, and flushes those that they are in.
/// Throws Error naming the one that cannot be made.
void make_folders(const std::filesystem::path& folder);

/// Removes what killed writers left in the folder: files named *.partial that no process writes.
void remove_partial_files(const std::filesystem::path& folder);

/// A file that grows at its end, made if it is missing: a log. What was appended may be lost with
/// the power; nothing before it can be.
class AppendedFile {
 public:
  explicit AppendedFile(std::filesystem::path path);
  ~AppendedFile();
  AppendedFile(const AppendedFile&) = delete;
  AppendedFile& operator=(const AppendedFile&) = delete;

  const std::filesystem::path& path() const { return path_; }
  /// The text as a whole: when it cannot be written, the file keeps its length, and an Error says
  /// why. It may be tried again.
  void append(std::string_view text);

 private:
  std::filesystem::path path_;
  int fd_ = -1;
};

}  // namespace invp
