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

/// The pack of a split of exactly this name ("train", "val", "validation", "test", "extra").
/// In a folder: SPLIT.pack. For a file: the file itself or one beside it, by the word in its name
/// that is a split ("birds-train-288.pack", "birds-val-288.pack"). A file without such a word is
/// "train".
std::optional<std::filesystem::path> find_pack(const std::filesystem::path& path,
                                               std::string_view split);

/// Maps the file; images are read from it without a copy. The file must not change while it is open
/// (engine/files/mapped_file.h). An image's checksum is compared when it is first fetched, and each
/// time by check(); one that does not have it is a bad image.
///
/// Checks size, version and the checksums of header and index. Throws Error with the file, the byte
/// and advice.
std::unique_ptr<Dataset> open_pack(const std::filesystem::path& file);

}  // namespace invp
