// The JSON of a safetensors header to and from its entries (used by safetensors.cpp alone).
#pragma once

#include <string_view>

#include "engine/files/file_reader.h"
#include "engine/files/safetensors.h"

namespace invp {

/// Parses the text that starts at byte 8 of `file`; the entries' offsets are made absolute and are
/// checked one by one, but not yet against each other.
SafetensorsHeader parse_safetensors_header(const FileReader& file, std::string_view text);

/// The text for entries whose offsets count from the end of the header; padded to 8 bytes.
std::string print_safetensors_header(const SafetensorsHeader& header);

}  // namespace invp
