#include "engine/files/mapped_file.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>
#include <utility>

namespace invp {

namespace {

constexpr int kPopulateRead = 22;  // MADV_POPULATE_READ, which older headers lack

}  // namespace

MappedFile::MappedFile(std::filesystem::path path) : file_(std::move(path)) {
  if (file_.size() == 0) return;  // an empty file cannot be mapped; bytes() refuses every read
  const std::size_t size = static_cast<std::size_t>(file_.size());
  void* mapped = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, file_.descriptor(), 0);
  CHECK(mapped != MAP_FAILED, file_.path().string(), ": ", file_.size(),
        " bytes cannot be mapped into memory (", std::generic_category().message(errno),
        "); check the limit on address space (ulimit -v) and the file system");
  data_ = static_cast<const std::uint8_t*>(mapped);
  // Reads are scattered: the system reads ahead what bytes() asks for, and nothing around it.
  ::madvise(mapped, size, MADV_RANDOM);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) {
    ::munmap(const_cast<std::uint8_t*>(data_), static_cast<std::size_t>(file_.size()));
  }
}

std::span<const std::uint8_t> MappedFile::bytes(std::uint64_t offset, std::uint64_t count) const {
  if (offset > file_.size() || count > file_.size() - offset) {
    file_.fail_at(file_.size(), "the file ends here, but ", count, " bytes were expected at byte ",
                  offset, "; it was cut short: copy or download it again");
  }
  struct stat now {};
  if (::fstat(file_.descriptor(), &now) != 0 ||
      static_cast<std::uint64_t>(now.st_size) < offset + count) {
    file_.fail_at(static_cast<std::uint64_t>(now.st_size), "the file ends here now, but had ",
                  file_.size(), " bytes when it was opened; leave it alone while it is in use");
  }
  if (count == 0) return {};
  // madvise needs whole pages.
  static const std::uint64_t page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  const std::uint64_t begin = offset / page * page;
  auto* const first = const_cast<std::uint8_t*>(data_ + begin);
  const auto length = static_cast<std::size_t>(offset + count - begin);
  ::madvise(first, length, MADV_WILLNEED);
  // Reads the pages here, where a disk that fails is an error and not SIGBUS. Before Linux 5.14
  // there is no such advice (EINVAL).
  if (::madvise(first, length, kPopulateRead) != 0 && (errno == EFAULT || errno == EHWPOISON)) {
    throw SystemError(message(file_.path().string(), ": at byte ", offset, ": cannot be read; ",
                              system_fault(EIO)));
  }
  return {data_ + offset, static_cast<std::size_t>(count)};
}

}  // namespace invp
