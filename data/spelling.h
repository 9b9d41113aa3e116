// For errors: the known name that a mistyped one most likely meant.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace invp {

/// The name with the fewest single-character edits to `given`. `names` must not be empty.
std::string nearest_name(std::string_view given, std::span<const std::string_view> names);

/// "a, b, c".
std::string listed(std::span<const std::string_view> names);

}  // namespace invp
