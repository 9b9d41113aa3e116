#pragma once

#include <cstddef>
#include <cstring>
#include <vector>

namespace emulator {

/// Asynchronous copies that a thread has not waited for.
struct Copies {
  struct Copy {
    void* to;
    const void* from;  ///< nullptr: zeros
    std::size_t group;
  };
  std::vector<Copy> open;
  std::size_t groups = 0;  ///< committed

  static constexpr std::size_t kBytes = 16;

  void start(void* to, const void* from) {
    std::memset(to, 0xFF, kBytes);  // NaN
    open.push_back({to, from, groups});
  }

  void finish(std::size_t before_group) {
    const auto done = [&](const Copy& copy) {
      if (copy.group >= before_group) return false;
      if (copy.from == nullptr) {
        std::memset(copy.to, 0, kBytes);
      } else {
        std::memcpy(copy.to, copy.from, kBytes);
      }
      return true;
    };
    std::erase_if(open, done);
  }
};

}  // namespace emulator
