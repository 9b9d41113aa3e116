// Reading packs (pack_format.h), which `invp data pack` writes (pack_writer.h).
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "data/sets/dataset.h"

namespace invp {

/// Does the file begin like a pack?
bool looks_like_pack(const std::filesystem::path& file);

/// The pack of a split of just this name ("train", "val", "validation", "test", "extra"): NAME.pack
/// in a folder; or of a file, itself or the one beside it, by the word in its name that names a
/// split ("birds-train-288.pack", "birds-val-288.pack"). A file without such a word is "train".
std::optional<std::filesystem::path> find_pack(const std::filesystem::path& path,
                                               std::string_view split);

/// Maps the file. Pictures are read from it without a copy (files/mapped_file.h says what must not
/// happen to it meanwhile); check() compares their checksums.
///
/// Size, version and the checksums of header and index are checked here. Throws for whatever does
/// not fit, with the file, the byte and the way out.
std::unique_ptr<Dataset> open_pack(const std::filesystem::path& file);

}  // namespace invp
