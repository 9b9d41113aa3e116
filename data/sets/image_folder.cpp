#include "data/sets/image_folder.h"

#include <sys/stat.h>

#include <algorithm>
#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxDepth = 64;

/// What tells a folder from all others, by whatever links it is reached.
using FolderId = std::pair<dev_t, ino_t>;

FolderId id_of(const fs::path& folder) {
  struct stat info {};
  CHECK(::stat(folder.c_str(), &info) == 0, folder.string(), ": this folder has gone");
  return {info.st_dev, info.st_ino};
}

struct FolderImages {
  std::string folder;  ///< relative to the root; "" for the root itself
  std::vector<std::string> images;
};

/// Walks through folders and links to folders, but into none twice on one way down.
class Walk {
 public:
  Walk(fs::path root, LeftOut& left_out)
      : root_(std::move(root)), left_out_(left_out), above_{id_of(root_)} {}

  /// The paths of the images in the folder and below, relative to the root: sorted by the whole
  /// path of their folder, so that "a/b" stands after "a b".
  std::vector<std::string> images_below(const std::string& folder) {
    found_.clear();
    if (folder.empty())
      visit(folder);
    else
      enter(folder);
    std::ranges::sort(found_, {}, &FolderImages::folder);
    std::vector<std::string> paths;
    for (const auto& [below, images] : found_) {
      for (const std::string& image : images)
        paths.push_back(below.empty() ? image : below + '/' + image);
    }
    return paths;
  }

 private:
  void enter(const std::string& folder) {
    const FolderId id = id_of(root_ / folder);
    if (std::ranges::find(above_, id) != above_.end()) {
      left_out_.add(LeftOut::kRing, folder);
      return;
    }
    CHECK(above_.size() <= kMaxDepth, (root_ / folder).string(), ": nested more than ", kMaxDepth,
          " folders deep");
    above_.push_back(id);
    visit(folder);
    above_.pop_back();
  }

  void visit(const std::string& folder) {
    FolderListing listing = list_folder(root_ / folder, left_out_);
    if (!listing.images.empty()) found_.push_back({folder, std::move(listing.images)});
    for (const std::string& name : listing.folders)
      enter(folder.empty() ? name : folder + '/' + name);
  }

  fs::path root_;
  LeftOut& left_out_;
  std::vector<FolderId> above_;  ///< from the root down to the folder that is visited
  std::vector<FolderImages> found_;
};

void check_folder(const fs::path& root) {
  CHECK(fs::exists(root), root.string(), ": no such folder; check the path");
  CHECK(fs::is_directory(root), root.string(),
        ": is a file, a folder of class folders was expected");
}

std::string why_no_classes(const fs::path& root, const FolderListing& top) {
  if (top.folders.empty()) {
    return message(root.string(),
                   ": the pictures lie in no class folders, so they have no labels; "
                   "to give them some, put them into ",
                   root.string(), "/CLASS/");
  }
  return message(root.string(), ": pictures (", top.images.front(),
                 top.images.size() > 1 ? ", ..." : "",
                 ") lie beside the folders, so the folders are no classes and there are no labels; "
                 "to have classes, move those pictures away or into a folder of their class");
}

[[noreturn]] void fail_without_images(const fs::path& root, const LeftOut& left_out) {
  const std::string found = left_out.text();
  if (found.empty() && packed_hint(root).empty()) fail(root.string(), ": the folder is empty");
  fail(root.string(), ": holds no picture (a file that ends in .jpg, .png, ...)",
       found.empty() ? "" : ", only " + found, packed_hint(root));
}

}  // namespace

std::unique_ptr<Dataset> open_unlabeled_folder(const fs::path& root, const std::string& kind,
                                               const std::string& why_no_labels) {
  check_folder(root);
  LeftOut left_out;
  std::vector<std::string> paths = Walk(root, left_out).images_below("");
  if (paths.empty()) fail_without_images(root, left_out);
  std::vector<std::int32_t> labels(paths.size(), -1);
  return std::make_unique<FileDataset>(kind, root, std::move(paths), std::move(labels),
                                       std::vector<std::string>(),
                                       FileNotes{left_out.text(), why_no_labels});
}

std::unique_ptr<Dataset> open_image_folder(const fs::path& root, const std::string& kind,
                                           const std::vector<std::string>& leave_out,
                                           LeftOut left_out) {
  check_folder(root);
  LeftOut of_top;
  FolderListing top = list_folder(root, of_top);
  if (!top.images.empty()) return open_unlabeled_folder(root, kind, why_no_classes(root, top));
  left_out.add(of_top);
  std::erase_if(top.folders, [&](const std::string& name) {
    return std::ranges::find(leave_out, name) != leave_out.end();
  });
  std::vector<std::string> paths;
  std::vector<std::int32_t> labels;
  std::vector<std::string> classes;
  Walk walk(root, left_out);
  for (const std::string& name : top.folders) {
    const std::vector<std::string> images = walk.images_below(name);
    if (images.empty()) {
      left_out.add(LeftOut::kEmptyFolder, name);
      continue;
    }
    paths.insert(paths.end(), images.begin(), images.end());
    labels.resize(paths.size(), static_cast<std::int32_t>(classes.size()));
    classes.push_back(name);
  }
  if (paths.empty()) fail_without_images(root, left_out);
  return std::make_unique<FileDataset>(kind, root, std::move(paths), std::move(labels),
                                       std::move(classes), FileNotes{left_out.text(), ""});
}

}  // namespace invp
