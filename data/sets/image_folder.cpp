#include "data/sets/image_folder.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <system_error>
#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr int kMaxDepth = 16;  // links may form a ring

struct Folder {
  std::vector<std::string> folders;
  std::vector<std::string> images;
  bool other_files = false;
};

Folder list_folder(const fs::path& path) {
  Folder result;
  std::error_code error;
  fs::directory_iterator entries(path, error);
  CHECK(!error, path.string(), ": cannot be listed (", error.message(), "); check the path");
  for (const fs::directory_entry& entry : entries) {
    std::error_code broken_link;
    std::string name = entry.path().filename().string();
    if (entry.is_directory(broken_link)) {
      result.folders.push_back(std::move(name));
    } else if (has_image_extension(name)) {
      result.images.push_back(std::move(name));
    } else {
      result.other_files = true;
    }
  }
  std::ranges::sort(result.folders);
  std::ranges::sort(result.images);
  return result;
}

/// Each folder below `path` with its pictures; the order of the result is that of the walk.
void collect(const fs::path& root, const std::string& path, int depth,
             std::vector<std::pair<std::string, std::vector<std::string>>>& found) {
  CHECK(depth <= kMaxDepth, (root / path).string(), ": nested more than ", kMaxDepth,
        " folders deep; is a link pointing back up?");
  Folder folder = list_folder(root / path);
  found.emplace_back(path, std::move(folder.images));
  for (const std::string& name : folder.folders) collect(root, path + '/' + name, depth + 1, found);
}

}  // namespace

bool has_image_extension(const fs::path& file) {
  constexpr std::array kExtensions = {".jpg", ".jpeg", ".png",  ".ppm", ".bmp",
                                      ".pgm", ".tif",  ".tiff", ".webp"};
  std::string extension = file.extension().string();
  std::ranges::transform(extension, extension.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::ranges::find(kExtensions, extension) != kExtensions.end();
}

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, const std::string& kind,
                                           const std::vector<std::string>& leave_out) {
  CHECK(fs::exists(root), root.string(), ": no such folder; check the path");
  CHECK(fs::is_directory(root), root.string(),
        ": is a file, a folder of class folders was expected");
  Folder top = list_folder(root);
  std::erase_if(top.folders, [&](const std::string& name) {
    return std::ranges::find(leave_out, name) != leave_out.end();
  });
  if (top.folders.empty()) {
    CHECK(top.images.empty(), root.string(), ": holds ", top.images.size(),
          " pictures but no class folders; put them into ", root.string(), "/CLASS/");
    fail(root.string(),
         top.other_files ? ": holds neither class folders nor pictures" : ": the folder is empty",
         "; expected are class folders with pictures in them");
  }
  std::vector<std::string> paths;
  std::vector<std::int32_t> labels;
  std::vector<std::string> empty;
  for (std::size_t label = 0; label < top.folders.size(); ++label) {
    std::vector<std::pair<std::string, std::vector<std::string>>> found;
    collect(root, top.folders[label], 1, found);
    std::ranges::sort(found);  // by whole path: "a/b" stands after "a b"
    const std::size_t before = paths.size();
    for (const auto& [folder, images] : found) {
      for (const std::string& image : images) paths.push_back(folder + '/' + image);
    }
    if (paths.size() == before) empty.push_back(top.folders[label]);
    labels.resize(paths.size(), static_cast<std::int32_t>(label));
  }
  CHECK(empty.empty(), (root / empty.front()).string(), ": the class folder has no picture in it",
        empty.size() > 1 ? message(" (nor have ", empty.size() - 1, " others)") : "",
        "; remove it, or add files that end in .jpg, .png, ...");
  return std::make_unique<FileDataset>(kind, root, std::move(paths), std::move(labels),
                                       top.folders);
}

}  // namespace invp
