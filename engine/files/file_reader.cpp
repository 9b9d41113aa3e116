#include "engine/files/file_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace invp {

FileReader::FileReader(std::filesystem::path path) : path_(std::move(path)) {
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const int open_error = errno;
  CHECK(fd_ >= 0, path_.string(), ": cannot be opened (",
        std::generic_category().message(open_error), "); check the path");
  struct stat info {};
  if (::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    ::close(fd_);
    fail(path_.string(), S_ISDIR(info.st_mode) ? ": is a folder, a file was expected"
                                               : ": is not an ordinary file");
  }
  size_ = static_cast<std::uint64_t>(info.st_size);
}

FileReader::~FileReader() {
  ::close(fd_);
}

void FileReader::read(std::uint64_t offset, std::span<std::byte> bytes) const {
  if (offset > size_ || bytes.size() > size_ - offset) {
    fail_at(size_, "the file ends here, but ", bytes.size(), " bytes were expected at byte ",
            offset, "; it was cut short: copy or download it again");
  }
  while (!bytes.empty()) {
    const std::size_t chunk = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
    const ssize_t done = ::pread(fd_, bytes.data(), chunk, static_cast<off_t>(offset));
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) fail_at(offset, "cannot be read (", std::generic_category().message(errno), ")");
    if (done == 0) fail_at(offset, "the file was cut short while it was read; start again");
    offset += static_cast<std::uint64_t>(done);
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

std::vector<std::byte> FileReader::read(std::uint64_t offset, std::uint64_t count) const {
  // Checked before the allocation: a count taken from a damaged file may be anything.
  if (offset > size_ || count > size_ - offset) {
    fail_at(size_, "the file ends here, but ", count, " bytes were expected at byte ", offset,
            "; it was cut short: copy or download it again");
  }
  std::vector<std::byte> bytes(static_cast<std::size_t>(count));
  read(offset, std::span(bytes));
  return bytes;
}

std::string read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
  const FileReader file(path);
  CHECK(file.size() <= limit, path.string(), ": has ", file.size(), " bytes, more than the ", limit,
        " allowed here; is it the right file?");
  std::string text(static_cast<std::size_t>(file.size()), '\0');
  file.read(0, std::as_writable_bytes(std::span(text)));
  return text;
}

}  // namespace invp
