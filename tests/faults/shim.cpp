// Loaded before the C library (LD_PRELOAD), it lets one call of the system go wrong: the k-th open,
// write, fsync, rename or link below one folder. The environment says which:
//
//   INVP_FAULT_FOLDER  calls on files elsewhere are not counted
//   INVP_FAULT         "CALL K KIND", as "write 12 eio"; none: nothing goes wrong
//   INVP_FAULT_RANK    of several ranks, the one whose calls these are; nobody else's count
//   INVP_FAULT_COUNTS  a file that gets the number of calls of each kind when the process ends
//
// Kinds: kill-before, kill-after, half (a write of half the bytes, then a kill), enospc, eio,
// eintr, short (a write of half the bytes that says so), power (a kill, and what was not flushed is
// gone).
#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <sstream>
#include <string>
#include <string_view>

namespace {

// The functions of the C library that are replaced here.
template <class Function>
Function real(const char* name) {
  return reinterpret_cast<Function>(dlsym(RTLD_NEXT, name));
}
// Asked for when they are called: libraries open files before this one is set up.
int real_open(const char* path, int flags, mode_t mode = 0) {
  return real<int (*)(const char*, int, ...)>("open")(path, flags, mode);
}
ssize_t real_write(int fd, const void* bytes, size_t count) {
  return real<ssize_t (*)(int, const void*, size_t)>("write")(fd, bytes, count);
}
ssize_t real_pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  return real<ssize_t (*)(int, const void*, size_t, off_t)>("pwrite")(fd, bytes, count, offset);
}
int real_fsync(int fd) {
  return real<int (*)(int)>("fsync")(fd);
}
int real_close(int fd) {
  return real<int (*)(int)>("close")(fd);
}
int real_rename(const char* from, const char* to) {
  return real<int (*)(const char*, const char*)>("rename")(from, to);
}
int real_link(const char* from, const char* to) {
  return real<int (*)(const char*, const char*)>("link")(from, to);
}
FILE* real_fopen(const char* path, const char* mode) {
  return real<FILE* (*)(const char*, const char*)>("fopen")(path, mode);
}

// --- What a disk would hold after a power loss: the content of files and folders as of their last
// flush.

struct Entry {
  ino_t inode = 0;
  bool folder = false;
};
struct Disk {
  std::map<ino_t, std::string> contents;                        ///< of files
  std::map<std::string, std::map<std::string, Entry>> folders;  ///< by path
};

std::string content_of(const std::string& path) {
  std::string content;
  const int fd = real_open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::array<char, 1 << 16> buffer{};
  for (ssize_t got = 0; (got = read(fd, buffer.data(), buffer.size())) > 0;)
    content.append(buffer.data(), static_cast<std::size_t>(got));
  real_close(fd);
  return content;
}

/// Notes the names in a folder; with `below`, and all that it holds.
void note_folder(Disk& disk, const std::string& path, bool below) {
  std::map<std::string, Entry> names;
  DIR* const folder = opendir(path.c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    struct stat found {};
    if (name == "." || name == ".." || lstat((path + '/' + name).c_str(), &found) != 0) continue;
    names[name] = {found.st_ino, S_ISDIR(found.st_mode)};
    if (!below) continue;
    if (S_ISDIR(found.st_mode))
      note_folder(disk, path + '/' + name, true);
    else
      disk.contents[found.st_ino] = content_of(path + '/' + name);
  }
  closedir(folder);
  disk.folders[path] = std::move(names);
}

void empty_folder(const std::string& path) {
  DIR* const folder = opendir(path.c_str());
  if (folder == nullptr) return;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = path + '/' + entry->d_name;
    if (std::strcmp(entry->d_name, ".") == 0 || std::strcmp(entry->d_name, "..") == 0) continue;
    if (unlink(name.c_str()) == 0) continue;
    empty_folder(name);
    rmdir(name.c_str());
  }
  closedir(folder);
}

/// Makes a folder what the disk holds of it.
void restore(const Disk& disk, const std::string& path, std::map<ino_t, std::string>& made) {
  const auto names = disk.folders.find(path);
  if (names == disk.folders.end()) return;
  for (const auto& [name, entry] : names->second) {
    const std::string full = path + '/' + name;
    if (entry.folder) {
      mkdir(full.c_str(), 0777);
      restore(disk, full, made);
    } else if (const auto [other, first] = made.try_emplace(entry.inode, full); !first) {
      real_link(other->second.c_str(), full.c_str());
    } else {
      // A file whose bytes were never flushed is there and empty.
      const auto content = disk.contents.find(entry.inode);
      const int fd = real_open(full.c_str(), O_CREAT | O_WRONLY | O_TRUNC, 0666);
      if (content != disk.contents.end())
        real_write(fd, content->second.data(), content->second.size());
      real_close(fd);
    }
  }
}

// --- The calls.

enum Call { kOpen, kWrite, kFsync, kRename, kLink, kCalls };
constexpr std::array<const char*, kCalls> kNames = {"open", "write", "fsync", "rename", "link"};

bool is_meant() {
  const char* const wanted = std::getenv("INVP_FAULT_RANK");
  if (wanted == nullptr) return true;
  for (const char* const name : {"OMPI_COMM_WORLD_RANK", "PMI_RANK"}) {
    const char* const rank = std::getenv(name);
    if (rank != nullptr && std::string_view(rank) == wanted) return true;
  }
  return false;
}

struct State {
  std::string folder;
  std::string kind;
  int call = -1;  ///< the one that goes wrong
  long at = 0;
  std::array<long, kCalls> counts{};
  std::array<bool, 4096> ours{};  ///< descriptors of files below the folder
  Disk disk;
  std::recursive_mutex mutex;

  State() {
    if (!is_meant()) return;
    if (const char* const value = std::getenv("INVP_FAULT_FOLDER")) folder = value;
    if (const char* const fault = std::getenv("INVP_FAULT")) {
      std::istringstream words(fault);
      std::string name;
      words >> name >> at >> kind;
      for (int i = 0; i < kCalls; ++i) call = name == kNames[i] ? i : call;
    }
    if (kind == "power") note_folder(disk, folder, true);
  }
};

State& state() {
  static State& the_state = *new State;  // never gone: files are closed until the very end
  return the_state;
}

__attribute__((destructor)) void write_counts() {
  const char* const file = std::getenv("INVP_FAULT_COUNTS");
  if (file == nullptr || !is_meant()) return;
  std::ostringstream text;
  for (int i = 0; i < kCalls; ++i) text << kNames[i] << ' ' << state().counts[i] << '\n';
  const int fd = real_open(file, O_CREAT | O_WRONLY | O_TRUNC, 0666);
  real_write(fd, text.str().data(), text.str().size());
  real_close(fd);
}

bool is_below(const char* path) {
  const std::string& folder = state().folder;
  if (folder.empty() || path == nullptr) return false;
  std::string full = path;
  if (full.empty() || full[0] != '/') {
    std::array<char, PATH_MAX> here{};
    full = std::string(getcwd(here.data(), here.size())) + '/' + full;
  }
  return full.starts_with(folder) && (full.size() == folder.size() || full[folder.size()] == '/');
}

bool is_ours(int fd) {
  return fd >= 0 && fd < 4096 && state().ours[static_cast<std::size_t>(fd)];
}

[[noreturn]] void die() {
  raise(SIGKILL);
  _exit(99);
}

[[noreturn]] void lose_power() {
  empty_folder(state().folder);
  std::map<ino_t, std::string> made;
  restore(state().disk, state().folder, made);
  die();
}

/// Counts a call that is ours. `run` does it, of `run(true)` half of it; returns what it returns,
/// or -1.
template <class Run>
auto counted(Call call, const Run& run) -> decltype(run(false)) {
  State& s = state();
  const std::lock_guard lock(s.mutex);
  const bool now = ++s.counts[call] == s.at && s.call == call;
  if (!now) return run(false);
  if (s.kind == "kill-before") die();
  if (s.kind == "power") lose_power();
  if (s.kind == "kill-after" || s.kind == "half") {
    run(s.kind == "half");
    die();
  }
  if (s.kind == "short") return run(true);
  errno = s.kind == "enospc" ? ENOSPC : s.kind == "eintr" ? EINTR : EIO;
  return decltype(run(false))(-1);
}

int opened(const char* path, int flags, mode_t mode) {
  if (!is_below(path)) return real_open(path, flags, mode);
  const std::lock_guard lock(state().mutex);
  struct stat before {};
  const bool is_new = (flags & O_CREAT) != 0 && stat(path, &before) != 0;
  const int fd = counted(kOpen, [&](bool) { return real_open(path, flags, mode); });
  if (fd < 0 || fd >= 4096) return fd;
  state().ours[static_cast<std::size_t>(fd)] = true;
  struct stat made {};
  // The number of a file that is gone may be given to another.
  if (is_new && fstat(fd, &made) == 0) state().disk.contents.erase(made.st_ino);
  return fd;
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return opened(path, flags, mode);
}
int open64(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(more, mode_t) : 0;
  va_end(more);
  return opened(path, flags, mode);
}
// The library's own names, which are replaced.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
int __open_2(const char* path, int flags) {
  return opened(path, flags, 0);
}
int __open64_2(const char* path, int flags) {
  return opened(path, flags, 0);
}
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)

FILE* fopen(const char* path, const char* mode) {
  if (!is_below(path)) return real_fopen(path, mode);
  FILE* file = nullptr;
  counted(kOpen, [&](bool) {
    file = real_fopen(path, mode);
    return file != nullptr ? 0 : -1;
  });
  if (file != nullptr && fileno(file) < 4096)
    state().ours[static_cast<std::size_t>(fileno(file))] = true;
  return file;
}
FILE* fopen64(const char* path, const char* mode) {
  return fopen(path, mode);
}

ssize_t write(int fd, const void* bytes, size_t count) {
  if (!is_ours(fd)) return real_write(fd, bytes, count);
  return counted(kWrite, [&](bool half) {
    return real_write(fd, bytes, half && count > 1 ? count / 2 : count);
  });
}
ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  if (!is_ours(fd)) return real_pwrite(fd, bytes, count, offset);
  return counted(kWrite, [&](bool half) {
    return real_pwrite(fd, bytes, half && count > 1 ? count / 2 : count, offset);
  });
}
ssize_t pwrite64(int fd, const void* bytes, size_t count, off64_t offset) {
  return pwrite(fd, bytes, count, offset);
}

int fsync(int fd) {
  if (!is_ours(fd)) return real_fsync(fd);
  return counted(kFsync, [&](bool) {
    const int result = real_fsync(fd);
    std::array<char, PATH_MAX> path{};
    const std::string name = "/proc/self/fd/" + std::to_string(fd);
    struct stat found {};
    if (state().kind != "power" || fstat(fd, &found) != 0 ||
        readlink(name.c_str(), path.data(), path.size() - 1) < 0) {
      return result;
    }
    if (S_ISDIR(found.st_mode))
      note_folder(state().disk, path.data(), false);
    else
      state().disk.contents[found.st_ino] = content_of(path.data());
    return result;
  });
}

int rename(const char* from, const char* to) {
  if (!is_below(to)) return real_rename(from, to);
  return counted(kRename, [&](bool) { return real_rename(from, to); });
}

int link(const char* from, const char* to) {
  if (!is_below(to)) return real_link(from, to);
  return counted(kLink, [&](bool) { return real_link(from, to); });
}

int close(int fd) {
  if (fd >= 0 && fd < 4096) state().ours[static_cast<std::size_t>(fd)] = false;
  return real_close(fd);
}

}  // extern "C"
