#include "data/sets/formats.h"

#include <array>
#include <optional>

#include "data/sets/cifar.h"
#include "data/sets/file_list.h"
#include "data/sets/fine_grained.h"
#include "data/sets/image_folder.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/places205.h"
#include "data/sets/svhn.h"
#include "data/sets/synthetic_dataset.h"
#include "data/sets/voc.h"
#include "engine/core/error.h"

namespace invp {

#ifndef INVP_SVHN
std::unique_ptr<Dataset> open_svhn(const std::filesystem::path& path) {
  fail(path.string(), ": this program was built without matio, which reads MATLAB's files");
}
std::unique_ptr<Dataset> open_flowers102(const std::filesystem::path& path, bool) {
  return open_svhn(path);
}
std::unique_ptr<Dataset> open_cars(const std::filesystem::path& path, bool) {
  return open_svhn(path);
}
#endif

namespace {

namespace fs = std::filesystem;
using Format = DatasetFormat;
using Found = std::unique_ptr<Dataset>;
using Names = std::vector<std::string>;

/// The names under which a split is looked for, the first one first.
std::vector<std::string_view> candidates(std::string_view split) {
  if (split == "val") return {"val", "validation", "test"};
  if (split == "test") return {"test", "val", "validation"};
  return {split};
}

/// Those of `names` for which there is a place.
template <class Place>
Names splits_at(std::initializer_list<const char*> names, const Place& place) {
  Names there;
  for (const char* name : names) {
    if (place(name)) there.emplace_back(name);
  }
  return there;
}

/// Where the split is; fails if it is nowhere.
template <class Place>
Place place_of(const std::optional<Place>& place, const Format& self, const DataSource& source,
               std::string_view split, std::string_view expected) {
  CHECK(place.has_value(), source.path.string(), ": no split \"", split, "\" of this ", self.name,
        " set; expected is ", expected);
  return *place;
}

// --- one folder or one list per split

std::optional<fs::path> image_folder_of(const fs::path& path, std::string_view split) {
  for (const std::string_view name : candidates(split)) {
    if (fs::is_directory(path / name)) return path / name;
  }
  // A folder of classes given as it is.
  if (split == "train" && !image_folder_of(path, "val")) return path;
  return std::nullopt;
}

std::optional<fs::path> list_of(const fs::path& path, std::string_view split) {
  if (fs::is_directory(path)) {
    for (const std::string_view name : candidates(split)) {
      for (const char* extension : {".txt", ".csv"}) {
        const fs::path file = path / (std::string(name) + extension);
        if (fs::is_regular_file(file)) return file;
      }
    }
    return std::nullopt;
  }
  if (split == "train") return path;
  constexpr std::string_view kTrain = "train";
  const std::string file = path.filename().string();
  const auto at = file.rfind(kTrain);
  if (at == std::string::npos) return std::nullopt;
  for (const std::string_view name : candidates(split)) {
    std::string other = file;
    other.replace(at, kTrain.size(), name);
    if (fs::is_regular_file(path.parent_path() / other)) return path.parent_path() / other;
  }
  return std::nullopt;
}

/// "val" and "test" where each has a place of its own.
template <std::optional<fs::path> (*kPlace)(const fs::path&, std::string_view)>
Names splits_by_place(const Format&, const DataSource& source) {
  const auto val = kPlace(source.path, "val");
  const auto test = kPlace(source.path, "test");
  return splits_at({"train", "val", "test"}, [&](std::string_view split) {
    if (split == "train") return kPlace(source.path, split).has_value();
    if (split == "val") return val && val->stem() != "test";
    return test && (test != val || test->stem() == "test");
  });
}

bool found_list(const Format&, const fs::path& folder) {
  return list_of(folder, "train") && !fs::is_directory(folder / "train");
}
Found open_list(const Format& self, const DataSource& source, std::string_view split) {
  const fs::path file =
      place_of(list_of(source.path, split), self, source, split,
               "a list train.txt, val.txt or test.txt (or .csv) beside the others");
  return open_file_list(file, file.parent_path());
}
Found open_folder(const Format& self, const DataSource& source, std::string_view split) {
  return open_image_folder(
      place_of(image_folder_of(source.path, split), self, source, split,
               "a folder train, val, validation or test with class folders in it"));
}

// --- packs

std::optional<fs::path> pack_of(const fs::path& path, std::string_view split) {
  for (const std::string_view name : candidates(split)) {
    if (const auto file = find_pack(path, name)) return file;
  }
  return std::nullopt;
}
bool found_pack(const Format&, const fs::path& folder) {
  for (const char* split : {"train", "val", "extra"}) {
    if (pack_of(folder, split)) return true;
  }
  return false;
}
Names pack_splits(const Format&, const DataSource& source) {
  return splits_at({"train", "val", "test", "extra"}, [&](const std::string& split) {
    return find_pack(source.path, split) ||
           (split == "val" && find_pack(source.path, "validation"));
  });
}
Found open_pack_split(const Format& self, const DataSource& source, std::string_view split) {
  return open_pack(place_of(pack_of(source.path, split), self, source, split,
                            "train.pack, val.pack or test.pack in the folder or beside the file"));
}

// --- CIFAR and SVHN

template <Cifar kVersion>
bool found_cifar(const Format&, const fs::path& folder) {
  return recognise_cifar(folder) == kVersion;
}
template <Cifar kVersion>
Names cifar_splits(const Format&, const DataSource& source) {
  return splits_at({"train", "test"}, [&](std::string_view split) {
    return has_cifar_split(source.path, kVersion, split == "train");
  });
}
template <Cifar kVersion>
Found open_cifar_split(const Format&, const DataSource& source, std::string_view split) {
  return open_cifar(source.path, kVersion, split == "train");
}

std::optional<fs::path> svhn_of(const fs::path& path, std::string_view split) {
  const std::string name = std::string(split == "val" ? "test" : split) + "_32x32.mat";
  return fs::is_regular_file(path / name) ? std::optional(path / name) : std::nullopt;
}
Names svhn_splits(const Format&, const DataSource& source) {
  return splits_at({"train", "test", "extra"},
                   [&](std::string_view split) { return svhn_of(source.path, split).has_value(); });
}
bool found_svhn(const Format& self, const fs::path& folder) {
  return !svhn_splits(self, {.path = folder}).empty();
}
Found open_svhn_split(const Format& self, const DataSource& source, std::string_view split) {
  return open_svhn(place_of(svhn_of(source.path, split), self, source, split,
                            "train_32x32.mat, test_32x32.mat or extra_32x32.mat in it"));
}

// --- fine-grained sets

bool found_fine_grained(const Format& self, const fs::path& folder) {
  return recognise_fine_grained(folder) == self.name;
}
Names train_and_test(const Format&, const DataSource&) {
  return {"train", "test"};
}
/// By the function that reads the official files, or as folders of classes.
template <std::unique_ptr<Dataset> (*kOpen)(const fs::path&, bool)>
Found open_fine_grained(const Format& self, const DataSource& source, std::string_view split) {
  const bool train = split == "train";
  if (!fs::is_directory(source.path / "train")) return kOpen(source.path, train);
  const auto folder = image_folder_of(source.path, train ? "train" : "test");
  return open_image_folder(folder.value_or(source.path / "test"), std::string(self.name));
}
std::unique_ptr<Dataset> open_caltech(const fs::path& path, bool train) {
  return open_caltech101(path, train);
}

// --- VOC and Places205

/// Trained on is trainval if there is a test split to judge by; otherwise train, judged by val.
std::optional<std::string> voc_split_of(const fs::path& path, std::string_view split) {
  const auto year = find_voc(path);
  if (!year) return std::nullopt;
  if (split == "train" && has_voc_split(*year, "trainval") && has_voc_split(*year, "test"))
    return "trainval";
  if (split == "val" && has_voc_split(*year, "test")) return "test";
  if (has_voc_split(*year, split)) return std::string(split);
  if (split == "test" && has_voc_split(*year, "val")) return "val";
  return std::nullopt;
}
bool found_voc(const Format&, const fs::path& folder) {
  return find_voc(folder).has_value();
}
Names voc_splits(const Format&, const DataSource& source) {
  const auto judged = voc_split_of(source.path, "val");
  return splits_at({"train", "val", "test"}, [&](std::string_view split) {
    return split == "train" ? voc_split_of(source.path, split).has_value() : judged == split;
  });
}
Found open_voc_split(const Format& self, const DataSource& source, std::string_view split) {
  const std::string part =
      place_of(voc_split_of(source.path, split), self, source, split,
               "a VOCdevkit or its folder VOC2007, with ImageSets/Main/trainval.txt and test.txt, "
               "or train.txt and val.txt");
  return open_voc(*find_voc(source.path), part);
}

Names places205_splits(const Format&, const DataSource& source) {
  return splits_at({"train", "val"}, [&](std::string_view split) {
    return find_places205(source.path, split).has_value();
  });
}
bool found_places205(const Format& self, const fs::path& folder) {
  return !places205_splits(self, {.path = folder}).empty();
}
Found open_places205_split(const Format&, const DataSource& source, std::string_view split) {
  return open_places205(source.path, split == "test" ? "val" : split);
}

// --- drawn

Names train_and_val(const Format&, const DataSource&) {
  return {"train", "val"};
}
Found open_drawn(const Format&, const DataSource& source, std::string_view split) {
  const bool train = split == "train";
  return open_synthetic(source.synthetic, train ? SyntheticSplit::kTrain : SyntheticSplit::kVal,
                        train ? source.synthetic_train : source.synthetic_val);
}

constexpr std::array kFormats = {
    Format{"pack", found_pack, pack_splits, open_pack_split},
    Format{"cifar10", found_cifar<Cifar::k10>, cifar_splits<Cifar::k10>,
           open_cifar_split<Cifar::k10>},
    Format{"cifar100", found_cifar<Cifar::k100>, cifar_splits<Cifar::k100>,
           open_cifar_split<Cifar::k100>},
    Format{"svhn", found_svhn, svhn_splits, open_svhn_split},
    Format{"flowers102", found_fine_grained, train_and_test, open_fine_grained<open_flowers102>},
    Format{"cars", found_fine_grained, train_and_test, open_fine_grained<open_cars>},
    Format{"pets", found_fine_grained, train_and_test, open_fine_grained<open_pets>},
    Format{"cub200", found_fine_grained, train_and_test, open_fine_grained<open_cub200>},
    Format{"caltech101", found_fine_grained, train_and_test, open_fine_grained<open_caltech>},
    Format{"voc", found_voc, voc_splits, open_voc_split},
    Format{"places205", found_places205, places205_splits, open_places205_split},
    Format{"list", found_list, splits_by_place<list_of>, open_list},
    Format{"imagefolder", nullptr, splits_by_place<image_folder_of>, open_folder},
    Format{"synthetic", nullptr, train_and_val, open_drawn},
};

}  // namespace

std::span<const DatasetFormat> format_table() {
  return kFormats;
}

}  // namespace invp
