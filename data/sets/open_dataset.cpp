#include "data/sets/open_dataset.h"

#include <algorithm>
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
namespace {

namespace fs = std::filesystem;

constexpr std::array<std::string_view, 4> kSplits = {"train", "val", "test", "extra"};

/// The split to try first, then what stands in for it.
std::vector<std::string_view> candidates(std::string_view split) {
  if (split == "val") return {"val", "validation", "test"};
  if (split == "test") return {"test", "val", "validation"};
  return {split};
}

// --- where each format keeps a split

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

std::optional<fs::path> pack_of(const fs::path& path, std::string_view split) {
  for (const std::string_view name : candidates(split)) {
    if (const auto file = find_pack(path, name)) return file;
  }
  return std::nullopt;
}

std::optional<fs::path> svhn_of(const fs::path& path, std::string_view split) {
  const std::string name = std::string(split == "val" ? "test" : split) + "_32x32.mat";
  if (fs::is_regular_file(path / name)) return path / name;
  return std::nullopt;
}

/// Trained on is trainval, where there is a test split to judge by; else train, judged by val.
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

bool is_fine_grained(std::string_view format) {
  constexpr std::array<std::string_view, 5> kFormats = {"flowers102", "cars", "pets", "cub200",
                                                        "caltech101"};
  return std::ranges::find(kFormats, format) != kFormats.end();
}

std::unique_ptr<Dataset> open_fine_grained(const std::string& format, const fs::path& path,
                                           bool train) {
  if (fs::is_directory(path / "train"))
    return open_image_folder(
        image_folder_of(path, train ? "train" : "test").value_or(path / "test"), format);
  if (format == "pets") return open_pets(path, train);
  if (format == "cub200") return open_cub200(path, train);
  if (format == "caltech101") return open_caltech101(path, train);
#ifdef INVP_SVHN
  return format == "cars" ? open_cars(path, train) : open_flowers102(path, train);
#else
  fail(path.string(), ": this program was built without matio, which reads MATLAB's files");
#endif
}

[[noreturn]] void no_split(const DataSource& source, std::string_view split,
                           std::string_view expected) {
  fail(source.path.string(), ": no split \"", split, "\" of this ", resolve_format(source),
       " set; expected is ", expected);
}

}  // namespace

const std::vector<std::string>& dataset_formats() {
  static const std::vector<std::string> formats = {
      "auto", "imagefolder", "cifar10", "cifar100", "svhn",   "list",       "pack",     "places205",
      "voc",  "flowers102",  "cars",    "pets",     "cub200", "caltech101", "synthetic"};
  return formats;
}

std::string resolve_format(const DataSource& source) {
  const auto& formats = dataset_formats();
  if (std::ranges::find(formats, source.format) == formats.end()) {
    std::string all;
    for (const std::string& format : formats) all += (all.empty() ? "" : ", ") + format;
    fail("[data] unknown format \"", source.format, "\"; known are ", all);
  }
  if (source.format == "synthetic") return source.format;
  const fs::path& path = source.path;
  CHECK(!path.empty(),
        "[data] no path was given: --data PATH, or --format synthetic for drawn images");
  CHECK(fs::exists(path), path.string(), ": no such file or folder; check the path");
  if (source.format != "auto") return source.format;

  if (fs::is_regular_file(path)) {
    if (path.extension() == ".pack" || looks_like_pack(path)) return "pack";
    const std::string extension = path.extension().string();
    CHECK(extension == ".txt" || extension == ".csv" || extension == ".lst", path.string(),
          ": a single file of unknown kind; a folder, a list (.txt, .csv) or a pack (.pack) was "
          "expected");
    return "list";
  }
  for (const std::string_view split : kSplits) {
    if (pack_of(path, split)) return "pack";
  }
  if (const auto cifar = recognise_cifar(path))
    return *cifar == Cifar::k10 ? "cifar10" : "cifar100";
  for (const std::string_view split : kSplits) {
    if (svhn_of(path, split)) return "svhn";
  }
  if (const auto kind = recognise_fine_grained(path)) return *kind;
  const bool folders =
      std::ranges::any_of(fs::directory_iterator(path),
                          [](const fs::directory_entry& entry) { return entry.is_directory(); });
  if (find_voc(path)) return "voc";
  if (find_places205(path, "train") || find_places205(path, "val")) return "places205";
  if (list_of(path, "train") && !fs::is_directory(path / "train")) return "list";
  CHECK(folders || !fs::is_empty(path), path.string(), ": the folder is empty");
  return "imagefolder";
}

std::vector<std::string> dataset_splits(const DataSource& source) {
  const std::string format = resolve_format(source);
  const fs::path& path = source.path;
  std::vector<std::string> there;
  const auto add_if = [&](bool found, const char* split) {
    if (found) there.emplace_back(split);
  };
  if (format == "synthetic") return {"train", "val"};
  if (format == "cifar10" || format == "cifar100") {
    const Cifar version = format == "cifar10" ? Cifar::k10 : Cifar::k100;
    add_if(has_cifar_split(path, version, true), "train");
    add_if(has_cifar_split(path, version, false), "test");
    return there;
  }
  if (format == "svhn") {
    for (const char* split : {"train", "test", "extra"})
      add_if(svhn_of(path, split).has_value(), split);
    return there;
  }
  if (is_fine_grained(format)) return {"train", "test"};
  if (format == "pack") {
    add_if(find_pack(path, "train").has_value(), "train");
    add_if(find_pack(path, "val") || find_pack(path, "validation"), "val");
    add_if(find_pack(path, "test").has_value(), "test");
    add_if(find_pack(path, "extra").has_value(), "extra");
    return there;
  }
  if (format == "voc") {
    add_if(voc_split_of(path, "train").has_value(), "train");
    const auto judged = voc_split_of(path, "val");
    add_if(judged == "val", "val");
    add_if(judged == "test", "test");
    return there;
  }
  if (format == "places205") {
    for (const char* split : {"train", "val"})
      add_if(find_places205(path, split).has_value(), split);
    return there;
  }
  const auto find = format == "list" ? list_of : image_folder_of;
  const auto val = find(path, "val");
  const auto test = find(path, "test");
  add_if(find(path, "train").has_value(), "train");
  add_if(val && val->stem() != "test", "val");
  add_if(test && (test != val || test->stem() == "test"), "test");
  return there;
}

std::unique_ptr<Dataset> open_dataset(const DataSource& source, std::string_view split) {
  CHECK(std::ranges::find(kSplits, split) != kSplits.end(), "[data] unknown split \"", split,
        "\"; there are train, val, test, and extra for svhn");
  const std::string format = resolve_format(source);
  const bool train = split == "train";
  if (format == "synthetic") {
    return open_synthetic(source.synthetic, train ? SyntheticSplit::kTrain : SyntheticSplit::kVal,
                          train ? source.synthetic_train : source.synthetic_val);
  }
  if (format == "cifar10") return open_cifar(source.path, Cifar::k10, train);
  if (format == "cifar100") return open_cifar(source.path, Cifar::k100, train);
  if (format == "svhn") {
    const auto file = svhn_of(source.path, split);
    if (!file) no_split(source, split, "train_32x32.mat, test_32x32.mat or extra_32x32.mat in it");
#ifdef INVP_SVHN
    return open_svhn(*file);
#else
    fail(file->string(), ": this program was built without matio, which reads MATLAB's files");
#endif
  }
  if (is_fine_grained(format)) {
    return open_fine_grained(format, source.path, train);
  }
  if (format == "voc") {
    const auto part = voc_split_of(source.path, split);
    if (!part) {
      no_split(source, split,
               "a VOCdevkit or its folder VOC2007, with ImageSets/Main/trainval.txt and test.txt, "
               "or train.txt and val.txt");
    }
    return open_voc(*find_voc(source.path), *part);
  }
  if (format == "places205") return open_places205(source.path, split == "test" ? "val" : split);
  if (format == "list") {
    const auto file = list_of(source.path, split);
    if (!file)
      no_split(source, split, "a list train.txt, val.txt or test.txt (or .csv) beside the others");
    return open_file_list(*file, file->parent_path());
  }
  if (format == "pack") {
    const auto file = pack_of(source.path, split);
    if (!file)
      no_split(source, split, "train.pack, val.pack or test.pack in the folder or beside the file");
    return open_pack(*file);
  }
  const auto folder = image_folder_of(source.path, split);
  if (!folder)
    no_split(source, split, "a folder train, val, validation or test with class folders in it");
  return open_image_folder(*folder);
}

}  // namespace invp
