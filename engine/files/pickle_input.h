// The bytes of a pickle, from memory or straight from a file, of which only a window is held.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "engine/files/file_reader.h"

namespace invp {

class PickleInput {
 public:
  /// `bytes` may go on after the pickle; errors count from `origin`, the place of bytes[0] in the
  /// file `name`.
  PickleInput(std::span<const std::byte> bytes, std::string name, std::uint64_t origin = 0)
      : name_(std::move(name)),
        end_(origin + bytes.size()),
        position_(origin),
        window_(bytes),
        window_begin_(origin) {}
  /// Bytes [begin, end) of `file`, which must live longer.
  PickleInput(const FileReader& file, std::uint64_t begin, std::uint64_t end)
      : name_(file.path().string()),
        end_(end),
        position_(begin),
        window_begin_(begin),
        file_(&file) {}

  const std::string& name() const { return name_; }
  /// The next byte, counted from the start of the file.
  std::uint64_t position() const { return position_; }
  std::uint64_t left() const { return end_ - position_; }
  /// The next `count` bytes, valid until the next call; there must be so many left.
  std::span<const std::byte> take(std::uint64_t count);
  /// Passes over `count` bytes; there must be so many left.
  void skip(std::uint64_t count) { position_ += count; }

 private:
  std::string name_;
  std::uint64_t end_;
  std::uint64_t position_;
  std::span<const std::byte> window_;
  std::uint64_t window_begin_;
  const FileReader* file_ = nullptr;
  std::vector<std::byte> buffer_;
};

}  // namespace invp
