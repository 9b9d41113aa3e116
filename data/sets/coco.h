// Where COCO's files lie: annotations/instances_train2017.json beside train2017/*.jpg. What is in
// the annotations is read by data/detection. Lin et al., https://cocodataset.org
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

struct CocoPart {
  std::filesystem::path annotations;  ///< the JSON file
  std::filesystem::path pictures;     ///< the folder that file_name starts in; need not be there
};

/// The annotations of a split: in `path` or in annotations/ in it instances_SPLIT.json (split
/// "val2017"), the only instances_SPLIT*.json (split "val"), or SPLIT.json. `path` may also be a
/// JSON file, which stands for the split that its name contains, and for train if it contains none.
/// Nothing if there is none; throws Error if there are several.
std::optional<CocoPart> find_coco(const std::filesystem::path& path, std::string_view split);

/// Those of "train", "val" and "test" that are there.
std::vector<std::string> coco_splits(const std::filesystem::path& path);

/// The pictures of a split, without labels: a picture shows many objects.
std::unique_ptr<Dataset> open_coco_pictures(const CocoPart& part);

}  // namespace invp
