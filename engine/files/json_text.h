// JSON as text, the one place where it is printed: names of files and classes need not be UTF-8,
// and a name must not cost the rest of a result.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

namespace invp {

/// Bytes that are not UTF-8 become U+FFFD. `indent` spaces per level; -1: all in one line.
template <class Json>
std::string json_text(const Json& json, int indent = -1) {
  return json.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace invp
