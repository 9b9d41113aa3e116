#include "engine/files/atomic_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/files/written.h"

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

constexpr const char* kPartial = ".partial";

/// A call of the system, again for as long as a signal ends it before it has done anything.
template <class Call>
auto uninterrupted(const Call& call) {
  auto result = call();
  while (result < 0 && errno == EINTR) result = call();
  return result;
}

/// errno, or 0. Some file systems have no flush for folders (EINVAL): nothing more can be done
/// then.
int flush_folder(const std::filesystem::path& folder) {
  const int fd =
      uninterrupted([&] { return ::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (fd < 0) return errno;
  const int error = uninterrupted([&] { return ::fsync(fd); }) == 0 ? 0 : errno;
  ::close(fd);
  return error == EINVAL ? 0 : error;
}

[[noreturn]] void fail_for(const std::filesystem::path& path, const char* what, int error) {
  fail(path.string(), ": ", what, " (", std::generic_category().message(error), "); ",
       way_out(error));
}

std::atomic<std::uint64_t>& counted_bytes() {
  static std::atomic<std::uint64_t> count = 0;
  return count;
}

/// Writes all of it with `write(bytes, done so far)`, a call that may write less. errno, or 0.
template <class Write>
int write_all(std::span<const std::byte> bytes, const Write& write) {
  constexpr std::size_t kMost = std::size_t{1} << 26;  // so that bytes_written() moves
  for (std::size_t done = 0; done < bytes.size();) {
    const std::span rest = bytes.subspan(done, std::min(bytes.size() - done, kMost));
    const ssize_t now = uninterrupted([&] { return write(rest, done); });
    if (now < 0) return errno;
    done += static_cast<std::size_t>(now);
    counted_bytes() += static_cast<std::uint64_t>(now);
  }
  return 0;
}

}  // namespace

std::uint64_t bytes_written() {
  return counted_bytes();
}

AtomicFile::AtomicFile(std::filesystem::path path)
    : path_(std::move(path)), partial_(path_.native() + kPartial) {
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
  fd_ = uninterrupted([&] {
    constexpr int kFlags = O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK;
    return ::open(partial_.c_str(), kFlags, 0666);
  });
  if (fd_ < 0) fail_with("cannot be created", errno);
  const auto close_unowned = [this] { ::close(std::exchange(fd_, -1)); };
  if (uninterrupted([&] { return ::flock(fd_, LOCK_EX | LOCK_NB); }) != 0 && errno == EWOULDBLOCK) {
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
  // One that was killed within link_file has left a second name of a finished file.
  if (opened.st_nlink > 1) {
    close_unowned();
    if (::unlink(partial_.c_str()) != 0) fail_with("cannot be created", errno);
    return open_partial();
  }
  if (uninterrupted([&] { return ::ftruncate(fd_, 0); }) != 0)
    fail_with("cannot be emptied", errno);
}

void AtomicFile::append(std::span<const std::byte> bytes) {
  CHECK(fd_ >= 0, path_.string(), ": written to after it was finished or had failed");
  constexpr std::size_t kTogether = 1 << 20;
  written_ += std::ssize(bytes);
  if (waiting_.size() + bytes.size() < kTogether) {
    waiting_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    return;
  }
  write_waiting();
  write_now(bytes);
}

void AtomicFile::write_waiting() {
  const std::string bytes = std::exchange(waiting_, {});
  write_now(std::as_bytes(std::span(bytes)));
}

void AtomicFile::write_now(std::span<const std::byte> bytes) {
  const int error = write_all(bytes, [&](std::span<const std::byte> part, std::size_t) {
    return ::write(fd_, part.data(), part.size());
  });
  if (error != 0) fail_with("cannot be written", error);
}

void AtomicFile::overwrite(std::int64_t offset, std::span<const std::byte> bytes) {
  CHECK(fd_ >= 0, path_.string(), ": written to after it was finished or had failed");
  CHECK(offset >= 0 && offset + std::ssize(bytes) <= written_, path_.string(), ": ", bytes.size(),
        " bytes at ", offset, " do not lie within the ", written_, " written");
  write_waiting();
  const int error = write_all(bytes, [&](std::span<const std::byte> part, std::size_t done) {
    return ::pwrite(fd_, part.data(), part.size(),
                    static_cast<off_t>(offset + static_cast<std::int64_t>(done)));
  });
  if (error != 0) fail_with("cannot be written", error);
}

void AtomicFile::commit(Flush flush) {
  CHECK(fd_ >= 0, path_.string(), ": finished twice, or after it had failed");
  write_waiting();
  if (flush == Flush::kYes && uninterrupted([&] { return ::fsync(fd_); }) != 0)
    fail_with("cannot be flushed to the disk", errno);
  if (uninterrupted([&] { return ::rename(partial_.c_str(), path_.c_str()); }) != 0)
    fail_with("cannot be put in place", errno);
  // It is in place, and nothing can be taken back from here on. A close that a signal ends has
  // closed the file.
  if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) fail_with("cannot be closed", errno);
  if (flush == Flush::kNo) return;
  if (const int error = flush_folder(folder_of(path_)); error != 0)
    fail_with("is written, but its folder cannot be flushed", error);
}

void AtomicFile::fail_with(const char* what, int error) {
  const std::int64_t written = written_;
  discard();
  fail(path_.string(), ": ", what, " (", std::generic_category().message(error), ", of ", written,
       " bytes); ", way_out(error));
}

void AtomicFile::discard() noexcept {
  if (fd_ < 0) return;
  ::unlink(partial_.c_str());
  ::close(std::exchange(fd_, -1));
}

void write_file(const std::filesystem::path& path, std::string_view content, Flush flush) {
  AtomicFile file(path);
  file.append(content);
  file.commit(flush);
}

bool link_file(const std::filesystem::path& from, const std::filesystem::path& path) {
  struct stat one {
  }, other{};
  if (::stat(from.c_str(), &one) == 0 && ::stat(path.c_str(), &other) == 0 &&
      one.st_ino == other.st_ino && one.st_dev == other.st_dev) {
    return true;  // to rename one over the other would leave both names
  }
  const std::string partial = path.native() + kPartial;
  ::unlink(partial.c_str());
  if (uninterrupted([&] { return ::link(from.c_str(), partial.c_str()); }) != 0) {
    constexpr std::array kNoLinks = {EPERM, EOPNOTSUPP, ENOSYS, EMLINK, EXDEV};
    if (std::ranges::find(kNoLinks, errno) != kNoLinks.end()) return false;
    fail_for(path, "cannot be created", errno);
  }
  if (uninterrupted([&] { return ::rename(partial.c_str(), path.c_str()); }) != 0) {
    const int error = errno;
    ::unlink(partial.c_str());
    fail_for(path, "cannot be put in place", error);
  }
  if (const int error = flush_folder(folder_of(path)); error != 0)
    fail_for(path, "is written, but its folder cannot be flushed", error);
  return true;
}

void make_folders(const std::filesystem::path& folder) {
  std::error_code ignored;
  if (folder.empty() || std::filesystem::is_directory(folder, ignored)) return;
  if (folder.has_relative_path() && folder.has_parent_path()) make_folders(folder.parent_path());
  if (uninterrupted([&] { return ::mkdir(folder.c_str(), 0777); }) != 0 &&
      (errno != EEXIST || !std::filesystem::is_directory(folder, ignored))) {
    fail_for(folder, "cannot be made", errno);
  }
  if (const int error = flush_folder(folder_of(folder)); error != 0)
    fail_for(folder, "is made, but the folder it is in cannot be flushed", error);
}

void remove_partial_files(const std::filesystem::path& folder) {
  std::error_code none;
  for (std::filesystem::directory_iterator at(folder, none), end; !none && at != end;
       at.increment(none)) {
    std::error_code ignored;
    if (at->path().extension() != kPartial || !at->is_regular_file(ignored)) continue;
    const int fd = ::open(at->path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0) continue;
    if (::flock(fd, LOCK_EX | LOCK_NB) == 0) ::unlink(at->path().c_str());
    ::close(fd);
  }
}

AppendedFile::AppendedFile(std::filesystem::path path)
    : path_(std::move(path)), fd_(uninterrupted([&] {
        return ::open(path_.c_str(), O_CREAT | O_WRONLY | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666);
      })) {
  if (fd_ < 0) fail_for(path_, "cannot be written", errno);
}

AppendedFile::~AppendedFile() {
  ::close(fd_);
}

void AppendedFile::append(std::string_view text) {
  struct stat before {};
  const bool known = ::fstat(fd_, &before) == 0;
  const int error =
      write_all(std::as_bytes(std::span(text)), [&](std::span<const std::byte> part, std::size_t) {
        return ::write(fd_, part.data(), part.size());
      });
  if (error == 0) return;
  if (known) [[maybe_unused]]
    const int cut = ::ftruncate(fd_, before.st_size);
  fail_for(path_, "cannot be written", error);
}

}  // namespace invp
