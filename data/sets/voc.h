// The classification task of PASCAL VOC (VOC2007, VOC2012): photographs that each show one or more
// of twenty classes. Everingham et al., http://host.robots.ox.ac.uk/pascal/VOC
//   JPEGImages/ID.jpg
//   ImageSets/Main/SPLIT.txt         an ID per line
//   ImageSets/Main/CLASS_SPLIT.txt   "ID FLAG": 1 present, -1 absent, 0 only difficult ones
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

inline constexpr std::int64_t kVocClasses = 20;

/// A folder with JPEGImages and ImageSets, and one of its splits ("train", "val", "trainval",
/// "test").
struct VocPart {
  std::filesystem::path year;
  std::string split;
};

/// The folders that hold JPEGImages and ImageSets, sorted: `path` itself, or those below it, which
/// archives and downloads put into folders of their own
/// ("VOCtrainval_06-Nov-2007/VOCdevkit/VOC2007", "train/VOCdevkit/VOC2012").
std::vector<std::filesystem::path> all_voc_years(const std::filesystem::path& path);

/// Those of one year: 2007, or else the first one.
std::vector<std::filesystem::path> find_voc_years(const std::filesystem::path& path);

/// The first of find_voc_years; nothing if there is none.
std::optional<std::filesystem::path> find_voc(const std::filesystem::path& path);

/// The folder below `path` that has exactly this split; nothing if none has.
std::optional<VocPart> find_voc_part(const std::filesystem::path& path, std::string_view split);

/// What stands for "train", "val" or "test": trained on is trainval if there is a test split to
/// judge by; otherwise train, judged by val. Nothing if it is not there.
std::optional<VocPart> voc_part(const std::filesystem::path& path, std::string_view split);

/// Classes are the files CLASS_SPLIT.txt, sorted. Images are in the order of SPLIT.txt. An image
/// that a class file does not name, or gives 0, is unclear for that class. Throws Error naming file
/// and line for missing files, a number of classes other than 20, lines of another form, IDs that
/// are not in the split, and an image without any class present or unclear.
std::unique_ptr<Dataset> open_voc(const std::filesystem::path& year, std::string_view split);

}  // namespace invp
