// Preloaded into the program: reads and opens of chosen files fail or never return, as on a dead
// disk. By environment variables:
//   INVP_FAULT_FILE   part of the path of the files that are meant
//   INVP_FAULT        "block": a read never returns; or the number of an error, for reads;
//                     "open:NUMBER": for opens
//   INVP_FAULT_TIMES  how often; without it always
//   INVP_FAULT_MARK   a file that is made when the first fault strikes
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace {

const char* setting(const char* name) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : "";
}

template <class Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

using Open = int(const char*, int, ...);
using Read = ssize_t(int, void*, std::size_t, off_t);

std::atomic<long> left = -1;

bool meant(const char* path) {
  const char* const part = setting("INVP_FAULT_FILE");
  return *part != '\0' && std::strstr(path, part) != nullptr;
}

/// Is it this file's turn to fail? Leaves the mark.
bool strikes(const char* path) {
  if (!meant(path)) return false;
  long unset = -1;
  const char* const times = setting("INVP_FAULT_TIMES");
  left.compare_exchange_strong(
      unset, *times != '\0' ? std::atol(times) : std::numeric_limits<long>::max());
  if (left.fetch_sub(1) <= 0) {
    left = 0;
    return false;
  }
  const int mark = next<Open>("open")(setting("INVP_FAULT_MARK"), O_CREAT | O_WRONLY, 0600);
  if (mark >= 0) close(mark);
  return true;
}

bool strikes(int fd) {
  char link[64];
  char path[4096];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, sizeof path - 1);
  if (length < 0) return false;
  path[length] = '\0';
  return strikes(path);
}

int open_as(const char* name, const char* path, int flags, mode_t mode) {
  constexpr const char* kOpen = "open:";
  const char* const fault = setting("INVP_FAULT");
  if (std::strncmp(fault, kOpen, std::strlen(kOpen)) == 0 && strikes(path)) {
    errno = std::atoi(fault + std::strlen(kOpen));
    return -1;
  }
  return next<Open>(name)(path, flags, mode);
}

ssize_t read_as(const char* name, int fd, void* to, std::size_t count, off_t offset) {
  const char* const fault = setting("INVP_FAULT");
  const bool block = std::strcmp(fault, "block") == 0;
  if ((block || std::atoi(fault) > 0) && strikes(fd)) {
    if (block) {
      for (;;) pause();  // the disk never answers
    }
    errno = std::atoi(fault);
    return -1;
  }
  return next<Read>(name)(fd, to, count, offset);
}

}  // namespace

extern "C" {

// NOLINTBEGIN(cert-dcl50-cpp): as the C library declares them.
int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_as("open", path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return open_as("open64", path, flags, mode);
}
// NOLINTEND(cert-dcl50-cpp)

ssize_t pread(int fd, void* to, std::size_t count, off_t offset) {
  return read_as("pread", fd, to, count, offset);
}

ssize_t pread64(int fd, void* to, std::size_t count, off_t offset) {
  return read_as("pread64", fd, to, count, offset);
}

// What programs call that are built with _FORTIFY_SOURCE.
// The library's own names, which are replaced.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
ssize_t __pread_chk(int fd, void* to, std::size_t count, off_t offset, std::size_t /*room*/) {
  return read_as("pread", fd, to, count, offset);
}

ssize_t __pread64_chk(int fd, void* to, std::size_t count, off_t offset, std::size_t /*room*/) {
  return read_as("pread64", fd, to, count, offset);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
}
