// How protocol 0 writes numbers and texts: as lines of ASCII (used by pickle.cpp alone).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace invp {

/// "-12", also "-12L"; nothing if it has more than 64 bits or is no number.
std::optional<std::int64_t> parse_pickle_integer(std::string_view line);
std::optional<double> parse_pickle_real(std::string_view line);
/// A quoted string with Python's escapes, "'a\\n'"; nothing if it is none.
std::optional<std::string> parse_pickle_string(std::string_view line);
/// Latin-1 with \uXXXX and \UXXXXXXXX, as UTF-8; nothing for an escape that is cut short.
std::optional<std::string> parse_pickle_unicode(std::string_view line);

/// The text of a latin-1 string, given as UTF-8: one byte per code point. Nothing if one is above
/// 255.
std::optional<std::string> latin1_bytes(std::string_view utf8);

}  // namespace invp
