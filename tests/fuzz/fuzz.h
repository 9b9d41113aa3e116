// What the harnesses share. Each defines LLVMFuzzerTestOneInput: it reads the bytes as a user's
// command would. An Error is the right answer to broken bytes; everything else that leaves a
// reader, be it another exception, a signal or a report of a sanitizer, is a fault.
#pragma once

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

#include "engine/core/error.h"

// NOLINTNEXTLINE(readability-identifier-naming): libFuzzer looks for this name
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace invp::fuzz {

using Bytes = std::span<const std::uint8_t>;

/// Bytes that a harness lets a reader fill: files that say much of little are looked at, not
/// filled.
inline constexpr std::uint64_t kSmall = std::uint64_t{1} << 20;

inline std::string_view text_of(Bytes bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

/// Ends the process, which libFuzzer takes for a fault.
[[noreturn]] inline void fault(const char* what) {
  std::fprintf(stderr, "fault: %s\n", what);
  std::abort();
}

/// Were the bytes read? The program shows an Error as one line, whatever the file's names hold; one
/// without a text is a fault.
template <class Read>
bool reads(const Read& read) {
  try {
    read();
    return true;
  } catch (const Error& error) {
    if (std::string_view(error.what()).empty()) fault("an Error without a text");
    return false;
  }
}

/// A folder in memory, of this process alone and gone with it.
class Folder {
 public:
  /// `other_names` are names of `file`, whatever is written to it.
  explicit Folder(const char* file = "", std::initializer_list<const char*> other_names = {}) {
    std::string pattern = "/dev/shm/invp-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) fault("no folder in /dev/shm");
    path_ = pattern;
    for (const char* name : other_names) std::filesystem::create_symlink(file, path_ / name);
  }
  ~Folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  Folder(const Folder&) = delete;
  Folder& operator=(const Folder&) = delete;

  const std::filesystem::path& path() const { return path_; }

  /// The file, made anew: a reader may hold a mapping of the one before it.
  std::filesystem::path write(std::string_view name, Bytes bytes) const {
    const std::filesystem::path file = path_ / name;
    ::unlink(file.c_str());
    const int descriptor = ::open(file.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
    if (descriptor < 0) fault("a file in /dev/shm cannot be made");
    while (!bytes.empty()) {
      const ssize_t done = ::write(descriptor, bytes.data(), bytes.size());
      if (done <= 0) fault("/dev/shm is full");
      bytes = bytes.subspan(static_cast<std::size_t>(done));
    }
    ::close(descriptor);
    return file;
  }

 private:
  std::filesystem::path path_;
};

}  // namespace invp::fuzz
