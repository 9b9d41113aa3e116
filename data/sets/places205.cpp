#include "data/sets/places205.h"

#include <algorithm>
#include <array>
#include <utility>

#include "data/sets/file_list.h"
#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr std::int32_t kClasses = 205;

/// Where paths of the list count from: the lists name "a/abbey/x.jpg" below images256.
fs::path root_of(const fs::path& path, const fs::path& list) {
  const std::array folders = {path, path.parent_path(), list.parent_path(),
                              list.parent_path().parent_path()};
  const std::array within = {fs::path("images256"),
                             fs::path("data/vision/torralba/deeplearning/images256")};
  for (const fs::path& folder : folders) {
    for (const fs::path& images : within) {
      if (fs::is_directory(folder / images)) return folder / images;
    }
  }
  return path;
}

}  // namespace

std::optional<fs::path> find_places205(const fs::path& path, std::string_view split) {
  const fs::path name = std::string(split) + "_places205.csv";
  for (const fs::path& folder : {path, path / "trainvalsplit_places205"}) {
    if (fs::is_regular_file(folder / name)) return folder / name;
  }
  return std::nullopt;
}

std::unique_ptr<Dataset> open_places205(const fs::path& path, std::string_view split) {
  const auto list = find_places205(path, split);
  CHECK(list, path.string(), ": no list ", split,
        "_places205.csv in it or in its folder trainvalsplit_places205");
  const fs::path root = root_of(path, *list);
  FileList files = read_file_list(*list, root);
  CHECK(files.names.empty() && files.labels.front() >= 0, list->string(),
        ": its labels are no numbers");
  const std::int32_t last = *std::ranges::max_element(files.labels);
  CHECK(last < kClasses, list->string(), ": label ", last, ", but the set has classes 0 to ",
        kClasses - 1);
  std::vector<std::string> classes = numbered_classes(kClasses);
  std::array<bool, kClasses> named{};
  for (std::size_t i = 0; i < files.paths.size(); ++i) {
    const auto label = static_cast<std::size_t>(files.labels[i]);
    const std::string folder = fs::path(files.paths[i]).parent_path().string();
    if (std::exchange(named.at(label), true) || folder.empty()) continue;
    classes[label] = folder;
  }
  return listed_files("places205", root, std::move(files), std::move(classes), *list);
}

}  // namespace invp
