#include "data/sets/formats.h"

#include <algorithm>
#include <array>
#include <optional>

#include "data/sets/cifar.h"
#include "data/sets/coco.h"
#include "data/sets/file_list.h"
#include "data/sets/fine_grained.h"
#include "data/sets/image_folder.h"
#include "data/sets/imagenet_val.h"
#include "data/sets/pack_dataset.h"
#include "data/sets/places205.h"
#include "data/sets/split_names.h"
#include "data/sets/svhn.h"
#include "data/sets/synthetic_dataset.h"
#include "data/sets/voc.h"
#include "engine/core/error.h"

namespace invp {

namespace {

namespace fs = std::filesystem;
using Format = DatasetFormat;
using Found = std::unique_ptr<Dataset>;
using Names = std::vector<std::string>;

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
        " set; expected is ", expected, packed_hint(source.path));
  return *place;
}

// --- one folder or one list per split

/// The first place of those that may stand for the split.
template <std::optional<fs::path> (*kPlace)(const fs::path&, std::string_view)>
std::optional<fs::path> any_place(const fs::path& path, std::string_view split) {
  for (const std::string_view name : splits_for(split)) {
    if (auto place = kPlace(path, name)) return place;
  }
  return std::nullopt;
}

/// Those splits that have a place of their own.
template <std::optional<fs::path> (*kPlace)(const fs::path&, std::string_view)>
Names splits_by_place(const Format&, const DataSource& source) {
  return splits_at({"train", "val", "test"},
                   [&](const char* split) { return kPlace(source.path, split).has_value(); });
}

bool has_split_folders(const fs::path& path) {
  return split_folder(path, "train") || split_folder(path, "val") || split_folder(path, "test");
}

/// A folder without split folders holds the training split itself.
std::optional<fs::path> image_folder_of(const fs::path& path, std::string_view split) {
  if (auto folder = split_folder(path, split)) return folder;
  return split == "train" && !has_split_folders(path) ? std::optional(path) : std::nullopt;
}

bool is_file(const fs::path& path) {
  std::error_code broken;
  return fs::is_regular_file(path, broken);
}

std::optional<fs::path> list_of(const fs::path& path, std::string_view split) {
  constexpr std::array<std::string_view, 4> kEndings = {".txt", ".csv", ".tsv", ".lst"};
  if (fs::is_directory(path)) return split_entry(path, split, kEndings, is_file);
  if (split == "train") return path;
  const fs::path folder = path.has_parent_path() ? path.parent_path() : fs::path(".");
  const std::vector<std::string> names = sibling_names(path.filename().string(), split);
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = lower_case(entry.path().filename().string());
    if (std::ranges::find(names, name) != names.end() && is_file(entry.path()))
      return path.parent_path() / entry.path().filename();
  }
  return std::nullopt;
}

bool found_list(const Format&, const fs::path& folder) {
  return list_of(folder, "train") && !split_folder(folder, "train");
}
Found open_list(const Format& self, const DataSource& source, std::string_view split) {
  const fs::path file =
      place_of(any_place<list_of>(source.path, split), self, source, split,
               "a list train.txt, val.txt or test.txt (or .csv) beside the others");
  return open_file_list(file, file.parent_path());
}

bool found_split_folders(const Format&, const fs::path& folder) {
  return has_split_folders(folder);
}
void add_beside_splits(const fs::path& path, LeftOut& left_out) {
  for (const std::string& name : list_folder(path).folders) {
    const bool is_split = std::ranges::any_of(std::array{"train", "val", "test"}, [&](auto split) {
      return split_folder(path, split) == path / name;
    });
    if (!is_split) left_out.add(LeftOut::kBesideSplits, name);
  }
}

Found open_folder(const Format& self, const DataSource& source, std::string_view split) {
  const fs::path folder =
      place_of(any_place<image_folder_of>(source.path, split), self, source, split,
               "a folder train, val, validation or test with class folders in it");
  if (split != "train") {
    if (auto labeled = open_imagenet_val(folder, source.path)) return labeled;
  }
  LeftOut left_out;
  if (split == "train" && folder != source.path) add_beside_splits(source.path, left_out);
  return open_image_folder(folder, std::string(self.name), {}, left_out);
}

// --- packs

/// Packs have the names that invp data pack gives them.
std::optional<fs::path> own_pack_of(const fs::path& path, std::string_view split) {
  for (const std::string_view name : names_of_split(split)) {
    if (const auto file = find_pack(path, name)) return file;
  }
  return std::nullopt;
}
std::optional<fs::path> pack_of(const fs::path& path, std::string_view split) {
  return any_place<own_pack_of>(path, split);
}
bool found_pack(const Format&, const fs::path& folder) {
  for (const char* split : {"train", "val", "extra"}) {
    if (pack_of(folder, split)) return true;
  }
  return false;
}
Names pack_splits(const Format&, const DataSource& source) {
  return splits_at({"train", "val", "test", "extra"}, [&](const std::string& split) {
    return own_pack_of(source.path, split).has_value();
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
/// By folders of classes that stand in for the official files, or by those.
template <bool (*kHas)(const fs::path&, bool)>
Names fine_grained_splits(const Format&, const DataSource& source) {
  return splits_at({"train", "test"}, [&](std::string_view split) {
    return split_folder(source.path, "train")
               ? any_place<split_folder>(source.path, split).has_value()
               : kHas(source.path, split == "train");
  });
}
bool always(const fs::path&, bool) {
  return true;
}
/// By the function that reads the official files, or as folders of classes.
template <std::unique_ptr<Dataset> (*kOpen)(const fs::path&, bool)>
Found open_fine_grained(const Format& self, const DataSource& source, std::string_view split) {
  const bool train = split == "train";
  if (!split_folder(source.path, "train")) return kOpen(source.path, train);
  const auto folder = any_place<split_folder>(source.path, train ? "train" : "test");
  return open_image_folder(folder.value_or(source.path / "test"), std::string(self.name));
}
std::unique_ptr<Dataset> open_caltech(const fs::path& path, bool train) {
  return open_caltech101(path, train);
}

// --- VOC, COCO and Places205

bool found_voc(const Format&, const fs::path& folder) {
  return find_voc(folder).has_value();
}
Names voc_splits(const Format&, const DataSource& source) {
  const auto judged = voc_part(source.path, "val");
  return splits_at({"train", "val", "test"}, [&](std::string_view split) {
    return split == "train" ? voc_part(source.path, split).has_value()
                            : judged && judged->split == split;
  });
}
Found open_voc_split(const Format& self, const DataSource& source, std::string_view split) {
  const VocPart part =
      place_of(voc_part(source.path, split), self, source, split,
               "a VOCdevkit or its folder VOC2007, with ImageSets/Main/trainval.txt and test.txt, "
               "or train.txt and val.txt");
  return open_voc(part.year, part.split);
}

bool found_coco(const Format&, const fs::path& folder) {
  return !coco_splits(folder).empty();
}
Names coco_splits_of(const Format&, const DataSource& source) {
  return coco_splits(source.path);
}
Found open_coco_split(const Format& self, const DataSource& source, std::string_view split) {
  return open_coco_pictures(place_of(find_coco(source.path, split), self, source, split,
                                     "annotations/instances_train2017.json or _val2017.json, or "
                                     "such a file"));
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

Names drawn_splits(const Format&, const DataSource& source) {
  return source.synthetic_val > 0 ? Names{"train", "val"} : Names{"train"};
}
Found open_drawn(const Format&, const DataSource& source, std::string_view split) {
  const bool train = split == "train";
  return open_synthetic(source.synthetic, train ? SyntheticSplit::kTrain : SyntheticSplit::kVal,
                        train ? source.synthetic_train : source.synthetic_val);
}

constexpr std::array kFormats = {
    Format{"pack", false, found_pack, pack_splits, open_pack_split},
    Format{"cifar10", false, found_cifar<Cifar::k10>, cifar_splits<Cifar::k10>,
           open_cifar_split<Cifar::k10>},
    Format{"cifar100", false, found_cifar<Cifar::k100>, cifar_splits<Cifar::k100>,
           open_cifar_split<Cifar::k100>},
    Format{"svhn", false, found_svhn, svhn_splits, open_svhn_split},
    Format{"flowers102", false, found_fine_grained, fine_grained_splits<always>,
           open_fine_grained<open_flowers102>},
    Format{"cars", false, found_fine_grained, fine_grained_splits<has_cars_split>,
           open_fine_grained<open_cars>},
    Format{"pets", false, found_fine_grained, fine_grained_splits<has_pets_split>,
           open_fine_grained<open_pets>},
    Format{"cub200", false, found_fine_grained, fine_grained_splits<always>,
           open_fine_grained<open_cub200>},
    Format{"caltech101", false, found_fine_grained, fine_grained_splits<always>,
           open_fine_grained<open_caltech>},
    Format{"voc", false, found_voc, voc_splits, open_voc_split},
    Format{"coco", false, found_coco, coco_splits_of, open_coco_split},
    Format{"places205", false, found_places205, places205_splits, open_places205_split},
    Format{"list", true, found_list, splits_by_place<list_of>, open_list},
    Format{"imagefolder", true, found_split_folders, splits_by_place<image_folder_of>, open_folder},
    Format{"synthetic", true, nullptr, drawn_splits, open_drawn},
};

}  // namespace

std::span<const DatasetFormat> format_table() {
  return kFormats;
}

}  // namespace invp
