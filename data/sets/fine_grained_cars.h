// Where the files of Stanford Cars lie, in the official release and in its copies.
#pragma once

#include <filesystem>
#include <optional>

namespace invp {

/// The file in the folder or in its devkit/; copies call that car_devkit/devkit/ too.
std::optional<std::filesystem::path> find_cars_file(const std::filesystem::path& path,
                                                    const char* name);

/// cars_annos.mat, which lists both splits; nothing if it, or the folder car_ims/ of its images, is
/// not there: copies have it beside cars_train/ and cars_test/, whose files have other names.
std::optional<std::filesystem::path> find_cars_of_both(const std::filesystem::path& path);

/// The annotations with labels of one split.
std::optional<std::filesystem::path> find_cars_annotations(const std::filesystem::path& path,
                                                           bool train);

/// The folder of the images of one split, whether it is there or not.
std::filesystem::path cars_images(const std::filesystem::path& path, bool train);

}  // namespace invp
