#include "engine/files/file_reader.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace invp {

namespace {

std::string limit_of_open_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return "";
  return message(" (now ", limit.rlim_cur, ")");
}

}  // namespace

void fail_by_system(const std::filesystem::path& path, const std::string& what, int error) {
  const std::string advice = system_fault(error);
  const std::string text =
      message(path.string(), ": ", what, " (", std::generic_category().message(error), "); ",
              advice.empty() ? "check the path" : advice);
  if (!advice.empty()) throw SystemError(text, error != EACCES && error != EPERM);
  // A link that leads nowhere is there.
  std::error_code none;
  if (error == ENOENT && !std::filesystem::is_symlink(path, none)) throw MissingFile(text);
  throw Error(text);
}

std::string system_fault(int error) {
  switch (error) {
    case EMFILE:
      return "raise the limit on open files" + limit_of_open_files() +
             " with ulimit -n, or turn down --workers";
    case ENFILE: return "the whole machine has too many open files (sysctl fs.file-max)";
    case ENOMEM: return "the machine is out of memory";
    case EIO: return "the disk failed: look into the system's log (dmesg), and copy the file anew";
    case EACCES:
    case EPERM: return "you may not read it: change its rights, or those of a folder above it";
    case ESTALE:
    case ETIMEDOUT:
    case ENOTCONN:
    case EHOSTDOWN:
    case EHOSTUNREACH:
    case EREMOTEIO: return "the network's file system does not answer: is it still mounted?";
    default: return "";
  }
}

FileReader::FileReader(std::filesystem::path path) : path_(std::move(path)) {
  // Without O_NONBLOCK, opening a pipe waits for its writer. Ordinary files do not look at it.
  fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
  const int open_error = errno;
  // The system's answer for a socket, or for a device that is not there.
  const bool special = fd_ < 0 && (open_error == ENXIO || open_error == ENODEV);
  if (fd_ < 0 && !special) fail_by_system(path_, "cannot be opened", open_error);
  struct stat info {};
  if (special || ::fstat(fd_, &info) != 0 || !S_ISREG(info.st_mode)) {
    if (fd_ >= 0) ::close(fd_);
    fail(path_.string(), S_ISDIR(info.st_mode)
                             ? ": is a folder, a file was expected"
                             : ": is no ordinary file (a pipe, a socket or a device)");
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
    if (done < 0) fail_by_system(path_, message("at byte ", offset, ": cannot be read"), errno);
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
