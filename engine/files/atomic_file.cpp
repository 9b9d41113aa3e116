#include "engine/files/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

const char* way_out(int error) {
  switch (error) {
    case ENOSPC: return "free space on that disk or write to another one";
    case EDQUOT: return "free some of your disk quota or write elsewhere";
    case EFBIG: return "raise the file size limit (ulimit -f) or write to another file system";
    case EROFS:
    case EACCES:
    case EPERM: return "choose a folder that you may write to";
    case ENOENT:
    case ENOTDIR: return "create its folder first";
    case ENAMETOOLONG: return "choose a shorter name";
    default: return "check that disk or write elsewhere";
  }
}

std::filesystem::path folder_of(const std::filesystem::path& path) {
  return path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
}

}  // namespace

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), partial_(path_.native() + ".partial") {
  struct stat old {};
  const bool other = ::stat(path_.c_str(), &old) == 0 && !S_ISREG(old.st_mode);
  CHECK(!other, path_.string(),
        ": not an ordinary file, so it cannot be replaced; choose another name");
  open_partial();
}

AtomicFile::~AtomicFile() {
  discard();
}

void AtomicFile::open_partial() {
  fd_ = ::open(partial_.c_str(), O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0666);
  if (fd_ < 0) fail_with("cannot be created", errno);
  const auto close_unowned = [this] { ::close(std::exchange(fd_, -1)); };
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    close_unowned();
    fail(path_.string(), ": another process is writing it; wait for it or write elsewhere");
  }
  // Between our open and our lock the last writer may have renamed this file into place: to write
  // on would damage the finished file.
  struct stat opened {
  }, named{};
  const bool ours = ::fstat(fd_, &opened) == 0 && ::lstat(partial_.c_str(), &named) == 0 &&
                    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev;
  if (!ours) {
    close_unowned();
    fail(path_.string(), ": another process has just written it; try again");
  }
  if (::ftruncate(fd_, 0) != 0) fail_with("cannot be emptied", errno);
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  CHECK(fd_ >= 0, path_.string(), ": written to after it was finished or had failed");
  while (!bytes.empty()) {
    const std::size_t chunk = std::min<std::size_t>(bytes.size(), std::size_t{1} << 30);
    const ssize_t done = ::write(fd_, bytes.data(), chunk);
    if (done < 0) {
      if (errno == EINTR) continue;
      fail_with("cannot be written", errno);
    }
    written_ += done;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

void AtomicFile::overwrite(std::int64_t offset, std::span<const std::byte> bytes) {
  CHECK(fd_ >= 0, path_.string(), ": written to after it was finished or had failed");
  CHECK(offset >= 0 && offset + std::ssize(bytes) <= written_, path_.string(), ": ", bytes.size(),
        " bytes at ", offset, " do not lie within the ", written_, " written");
  while (!bytes.empty()) {
    const ssize_t done = ::pwrite(fd_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
    if (done < 0) {
      if (errno == EINTR) continue;
      fail_with("cannot be written", errno);
    }
    offset += done;
    bytes = bytes.subspan(static_cast<std::size_t>(done));
  }
}

void AtomicFile::commit() {
  CHECK(fd_ >= 0, path_.string(), ": finished twice, or after it had failed");
  if (::fsync(fd_) != 0) fail_with("cannot be flushed to the disk", errno);
  if (::rename(partial_.c_str(), path_.c_str()) != 0) fail_with("cannot be put in place", errno);
  const int closed = ::close(std::exchange(fd_, -1));
  if (closed != 0) fail_with("cannot be closed", errno);
  const int folder = ::open(folder_of(path_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) fail_with("is written, but its folder cannot be flushed", errno);
  const int error = ::fsync(folder) == 0 ? 0 : errno;
  ::close(folder);
  // Some file systems have no flush for folders (EINVAL): nothing more can be done then.
  if (error != 0 && error != EINVAL)
    fail_with("is written, but its folder cannot be flushed", error);
}

void AtomicFile::fail_with(const char* what, int error) {
  const std::int64_t written = written_;
  discard();
  fail(path_.string(), ": ", what, " (", std::generic_category().message(error), ", after ",
       written, " bytes); ", way_out(error));
}

void AtomicFile::discard() noexcept {
  if (fd_ < 0) return;
  ::unlink(partial_.c_str());
  ::close(std::exchange(fd_, -1));
}

void write_file(const std::filesystem::path& path, std::string_view content) {
  AtomicFile file(path);
  file.append(content);
  file.commit();
}

}  // namespace invp
