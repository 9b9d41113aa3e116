// FNV-1a, 64 bits: a hash that is the same on every machine.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace invp {

class Hash {
 public:
  void add(std::uint64_t word) { value_ = (value_ ^ word) * 0x100000001b3; }
  void add_bytes(const void* data, std::size_t count) {
    const auto* const bytes = static_cast<const unsigned char*>(data);
    for (std::size_t i = 0; i < count; ++i) add(bytes[i]);
  }
  /// The length is added too, so that ("ab", "c") and ("a", "bc") differ.
  void add_text(std::string_view text) {
    add_bytes(text.data(), text.size());
    add(text.size());
  }

  std::uint64_t value() const { return value_; }
  /// 16 hexadecimal digits.
  std::string hex() const {
    std::string text(16, '0');
    for (std::size_t i = 0; i < text.size(); ++i)
      text[i] = "0123456789abcdef"[value_ >> (60 - 4 * i) & 15];
    return text;
  }

 private:
  std::uint64_t value_ = 0xcbf29ce484222325;
};

}  // namespace invp
