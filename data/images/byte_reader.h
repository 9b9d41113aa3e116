// The bytes of a picture's file from front to back, little-endian. Reading past the end refuses the
// file.
#pragma once

#include "data/images/decoders.h"

namespace invp::decoders {

class ByteReader {
 public:
  /// `format` appears in errors.
  ByteReader(Bytes bytes, const std::string& name, ImageFormat format)
      : bytes_(bytes), name_(name), format_(format) {}

  std::size_t at() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }
  void seek(std::size_t at) {
    if (at > bytes_.size()) refuse_cut(name_, format_);
    at_ = at;
  }
  Bytes take(std::size_t count) {
    if (count > left()) refuse_cut(name_, format_);
    at_ += count;
    return bytes_.subspan(at_ - count, count);
  }
  int u8() { return take(1)[0]; }
  int u16() { return static_cast<int>(little_endian(2)); }
  std::uint32_t u32() { return little_endian(4); }
  std::int32_t i32() { return static_cast<std::int32_t>(little_endian(4)); }

 private:
  std::uint32_t little_endian(std::size_t count) {
    const Bytes bytes = take(count);
    std::uint32_t value = 0;
    for (std::size_t i = 0; i < count; ++i) value |= std::uint32_t{bytes[i]} << (8 * i);
    return value;
  }

  Bytes bytes_;
  const std::string& name_;
  ImageFormat format_;
  std::size_t at_ = 0;
};

}  // namespace invp::decoders
