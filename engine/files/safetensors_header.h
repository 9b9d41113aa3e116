// The JSON of a safetensors header to and from its entries (used by safetensors.cpp alone).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "engine/files/file_reader.h"
#include "engine/files/safetensors.h"

namespace invp {

/// Parses the text that starts at byte 8 of `file`; the entries' offsets are made absolute and are
/// checked one by one, but not yet against each other.
SafetensorsHeader parse_safetensors_header(const FileReader& file, std::string_view text);

/// The text for entries whose offsets count from the end of the header; padded to 8 bytes.
std::string print_safetensors_header(const SafetensorsHeader& header);

/// Room in the metadata for the checksums of so many tensors: print the header with it, then
/// set_checksums in the text, which keeps its length.
void reserve_checksums(SafetensorsHeader& header);
/// Writes the checksums of the tensors, in the order of the entries, and the header's own.
void set_checksums(std::string& text, std::span<const std::uint32_t> tensors);
/// Takes the checksums out of the metadata and gives them to the entries; does nothing where there
/// are none. Throws Error if the header does not have its own.
void take_checksums(const FileReader& file, std::string_view text, SafetensorsHeader& header);

}  // namespace invp
