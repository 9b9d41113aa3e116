// The classification task of PASCAL VOC (VOC2007, VOC2012): photographs that each show one or more
// of twenty classes. Everingham et al., http://host.robots.ox.ac.uk/pascal/VOC
//   JPEGImages/ID.jpg
//   ImageSets/Main/SPLIT.txt         an ID per line
//   ImageSets/Main/CLASS_SPLIT.txt   "ID FLAG": 1 present, -1 absent, 0 only difficult ones
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string_view>

#include "data/sets/dataset.h"

namespace invp {

inline constexpr std::int64_t kVocClasses = 20;

/// The folder that holds JPEGImages and ImageSets: `path` itself; or in it, or in its VOCdevkit,
/// the folder VOC2007 or else the first other year. Nothing if there is none.
std::optional<std::filesystem::path> find_voc(const std::filesystem::path& path);

/// Is there such a split ("train", "val", "trainval", "test")? `year` is what find_voc found.
bool has_voc_split(const std::filesystem::path& year, std::string_view split);

/// Classes are the files CLASS_SPLIT.txt, sorted. Images are in the order of SPLIT.txt. An image
/// that a class file does not name, or gives 0, is unclear for that class. Throws Error naming file
/// and line for missing files, a number of classes other than 20, lines of another form, IDs that
/// are not in the split, and an image without any class present or unclear.
std::unique_ptr<Dataset> open_voc(const std::filesystem::path& year, std::string_view split);

}  // namespace invp
