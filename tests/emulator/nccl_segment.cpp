#include "nccl_segment.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <stdexcept>
#include <utility>

namespace emulator {

Segment::Segment(std::string name, int ranks) : name_(std::move(name)), ranks_(ranks) {
  if (ranks < 1 || ranks > kMostRanks) throw std::runtime_error("1 to 16 emulated ranks");
  const int file = shm_open(name_.c_str(), O_CREAT | O_RDWR, 0600);
  if (file < 0) throw std::runtime_error("no shared memory " + name_);
  // Pages are taken as they are written: all zeros is how everything begins.
  void* memory = MAP_FAILED;
  if (ftruncate(file, static_cast<off_t>(bytes())) == 0)
    memory = mmap(nullptr, bytes(), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  close(file);
  if (memory == MAP_FAILED) throw std::runtime_error("no room in shared memory for " + name_);
  shared_ = static_cast<Shared*>(memory);
}

Segment::~Segment() {
  munmap(shared_, bytes());
}

void Segment::unlink() {
  shm_unlink(name_.c_str());
}

}  // namespace emulator
