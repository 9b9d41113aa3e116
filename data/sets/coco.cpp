#include "data/sets/coco.h"

#include <algorithm>
#include <array>

#include "data/sets/folder_listing.h"
#include "data/sets/image_folder.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 3> kSplits = {"train", "val", "test"};
constexpr std::string_view kPrefix = "instances_";

/// "val2017" of "annotations/instances_val2017.json".
std::string name_of(const fs::path& json) {
  const std::string stem = json.stem().string();
  return stem.starts_with(kPrefix) ? stem.substr(kPrefix.size()) : stem;
}

CocoPart part_of(const fs::path& json) {
  const fs::path folder = json.has_parent_path() ? json.parent_path() : fs::path(".");
  const fs::path root = folder.filename() == "annotations" ? folder.parent_path() : folder;
  const std::string name = name_of(json);
  for (const fs::path& pictures :
       {root / name, root / "images" / name, root / "images", root / "JPEGImages"}) {
    if (fs::is_directory(pictures)) return {json, pictures};
  }
  return {json, root};
}

/// The split that a file stands for by its name.
std::string_view split_of(const fs::path& json) {
  const std::string name = lower_case(name_of(json));
  const auto found = std::ranges::find_if(
      kSplits, [&](std::string_view split) { return name.find(split) != std::string::npos; });
  return found == kSplits.end() ? kSplits.front() : *found;
}

/// instances_SPLIT*.json in a folder.
std::vector<fs::path> files_for(const fs::path& folder, std::string_view split) {
  std::vector<fs::path> files;
  if (!fs::is_directory(folder)) return files;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(".json") &&
        name.substr(kPrefix.size()).starts_with(split) && entry.is_regular_file())
      files.push_back(folder / name);
  }
  std::ranges::sort(files);
  return files;
}

}  // namespace

std::optional<CocoPart> find_coco(const fs::path& path, std::string_view split) {
  if (fs::is_regular_file(path)) {
    const bool fits = path.extension() == ".json" && split_of(path) == split;
    return fits ? std::optional(part_of(path)) : std::nullopt;
  }
  const std::string name(split);
  for (const fs::path& folder : {path / "annotations", path}) {
    for (const std::string& file : {std::string(kPrefix) + name + ".json", name + ".json"}) {
      if (fs::is_regular_file(folder / file)) return part_of(folder / file);
    }
    const std::vector<fs::path> files = files_for(folder, split);
    if (files.empty()) continue;
    CHECK(files.size() == 1, folder.string(), ": holds several annotations for \"", split,
          "\": ", files[0].filename().string(), ", ", files[1].filename().string(),
          "; ask for one: --split ", name_of(files[0]), ", or give the file");
    return part_of(files[0]);
  }
  return std::nullopt;
}

std::vector<std::string> coco_splits(const fs::path& path) {
  std::vector<std::string> splits;
  for (const std::string_view split : kSplits) {
    if (find_coco(path, split)) splits.emplace_back(split);
  }
  return splits;
}

std::unique_ptr<Dataset> open_coco_pictures(const CocoPart& part) {
  return open_unlabeled_folder(
      part.pictures, "coco",
      "COCO has boxes of many objects in a picture, which are for \"invp detect\"");
}

}  // namespace invp
