// Errors are read by users: each says what was asked, what was found and what to do about it.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace invp {

/// What every user-facing failure throws: bad shapes, bad files, bad options, exhausted memory.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Concatenates anything streamable: message("[conv2d] got ", shape).
template <class... Parts>
std::string message(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return std::move(out).str();
}

template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  throw Error(message(parts...));
}

}  // namespace invp

/// Throws invp::Error of the parts unless the condition holds. For checks of what a user gave.
#define CHECK(condition, ...)        \
  do {                               \
    if (!(condition)) [[unlikely]] { \
      ::invp::fail(__VA_ARGS__);     \
    }                                \
  } while (false)
