// Text files of data sets. The first byte chooses the set; the rest are its files, apart by 0x1e.
// Each set's pictures are named a.jpg and b.jpg; they are empty, since no list is read for them.
#include <algorithm>
#include <functional>
#include <map>
#include <vector>

#include "data/sets/file_list.h"
#include "data/sets/fine_grained.h"
#include "data/sets/imagenet_val.h"
#include "data/sets/places205.h"
#include "data/sets/subset.h"
#include "data/sets/voc.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

namespace fs = std::filesystem;

/// A set's folder: the files that the bytes fill, and what reads them.
struct Set {
  std::vector<std::string> files;
  std::function<void(const fs::path&)> read;
  std::vector<std::string> pictures;
};

void look_at(const std::unique_ptr<Dataset>& set) {
  if (set == nullptr) return;
  for (std::int64_t i = 0; i < set->size(); ++i) {
    if (set->label(i) < -1 || set->label(i) >= std::ssize(set->classes()))
      fault("a label without a class");
    set->name(i);
    set->presences(i);
  }
}

std::vector<std::string> voc_files() {
  std::vector<std::string> files = {"ImageSets/Main/train.txt"};
  for (char c = 'a'; c < 'a' + kVocClasses; ++c)
    files.push_back(std::string("ImageSets/Main/") + c + "_train.txt");
  return files;
}

const std::vector<Set>& sets() {
  static const std::vector<Set> all = {
      {{"list.txt"},
       [](const fs::path& at) { look_at(open_file_list(at / "list.txt", at)); },
       {"a.jpg", "b.jpg"}},
      {{"list.txt", "subset.txt"},
       [](const fs::path& at) {
         const auto set = open_file_list(at / "list.txt", at);
         for (const std::int64_t i : read_subset_list(at / "subset.txt", *set)) {
           if (i < 0 || i >= set->size()) fault("an image outside of its set");
         }
       },
       {"a.jpg", "b.jpg"}},
      {voc_files(),
       [](const fs::path& at) { look_at(open_voc(at, "train")); },
       {"JPEGImages/a.jpg", "JPEGImages/b.jpg"}},
      {{"annotations/trainval.txt", "annotations/test.txt"},
       [](const fs::path& at) {
         look_at(open_pets(at, true));
         look_at(open_pets(at, false));
       },
       {"images/a.jpg", "images/b.jpg"}},
      {{"images.txt", "image_class_labels.txt", "train_test_split.txt", "classes.txt"},
       [](const fs::path& at) {
         look_at(open_cub200(at, true));
         look_at(open_cub200(at, false));
       },
       {"images/a.jpg", "images/b.jpg"}},
      {{"val.txt"},
       [](const fs::path& at) { look_at(open_imagenet_val(at / "val", at)); },
       {"val/a.jpg", "val/b.jpg", "train/n01/a.jpg", "train/n02/b.jpg"}},
      {{"imagenet_2012_validation_synset_labels.txt"},
       [](const fs::path& at) { look_at(open_imagenet_val(at / "val", at)); },
       {"val/a.jpg", "val/b.jpg", "train/n01/a.jpg", "train/n02/b.jpg"}},
      {{"train_places205.csv"},
       [](const fs::path& at) { look_at(open_places205(at, "train")); },
       {"images256/a.jpg", "images256/b.jpg"}},
  };
  return all;
}

/// The set in a folder of its own, of which only the files change.
void read_set(const Folder& folder, std::size_t number, Bytes bytes) {
  const Set& set = sets()[number];
  const fs::path below = std::to_string(number);
  static std::map<fs::path, std::vector<std::uint8_t>> written;  // most files stay as they are
  const auto write = [&](const std::string& name, Bytes content) {
    const auto [known, is_new] = written.try_emplace(below / name);
    if (!is_new && std::ranges::equal(known->second, content)) return;
    known->second.assign(content.begin(), content.end());
    fs::create_directories((folder.path() / below / name).parent_path());
    folder.write((below / name).string(), content);
  };
  for (const std::string& name : set.pictures) write(name, {});
  for (const std::string& name : set.files) {
    const auto end = std::ranges::find(bytes, std::uint8_t{0x1e});
    const auto length = static_cast<std::size_t>(end - bytes.begin());
    write(name, bytes.first(length));
    bytes = bytes.subspan(std::min(length + 1, bytes.size()));
  }
  reads([&] { set.read(folder.path() / below); });
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  if (size == 0) return -1;
  static const fuzz::Folder folder;
  fuzz::read_set(folder, data[0] % fuzz::sets().size(), fuzz::Bytes(data + 1, size - 1));
  return 0;
}
