// What people call their splits.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// The names of "train", "val", "test" or "extra" as folders and lists, in lower case; they are
/// found in any capitalization. Empty for another split.
std::span<const std::string_view> names_of_split(std::string_view split);

/// The splits that may stand for one, it first: val and test do for each other.
std::vector<std::string_view> splits_for(std::string_view split);

/// The entry of the folder that `fits` and has the name of the split, followed by one of `endings`;
/// nothing if there is none. Of several, the first name of names_of_split, then the first ending.
std::optional<std::filesystem::path> split_entry(
    const std::filesystem::path& folder, std::string_view split,
    std::span<const std::string_view> endings,
    const std::function<bool(const std::filesystem::path&)>& fits);

/// The folder in `folder` for exactly this split.
std::optional<std::filesystem::path> split_folder(const std::filesystem::path& folder,
                                                  std::string_view split);

/// `file_name` with the word that means training ("train", "Training") replaced by each name of
/// another split, in lower case; empty if it has no such word.
std::vector<std::string> sibling_names(std::string_view file_name, std::string_view split);

}  // namespace invp
