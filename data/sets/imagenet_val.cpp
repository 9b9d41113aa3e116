#include "data/sets/imagenet_val.h"

#include <algorithm>
#include <array>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "data/sets/file_list.h"
#include "data/sets/folder_listing.h"
#include "data/sets/mat_file.h"
#include "data/sets/split_names.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

using Classes = std::vector<std::string>;
using Images = std::vector<std::string>;
using Labels = std::vector<std::int32_t>;

/// The class of a name, or of a number from 0.
std::int32_t class_of(const TextLine& line, std::string_view word, const Classes& classes) {
  const auto named = std::ranges::find(classes, word);
  if (named != classes.end()) return static_cast<std::int32_t>(named - classes.begin());
  const bool number =
      !word.empty() && word.find_first_not_of("0123456789") == std::string_view::npos;
  if (!number)
    line.fail(message("has class \"", word, "\", which the training split does not have"));
  return static_cast<std::int32_t>(line.integer(word, "class", 0, std::ssize(classes) - 1));
}

/// Lines that name image and class.
Labels by_name(const fs::path& file, const Images& images, const Classes& classes) {
  std::map<std::string, std::int32_t, std::less<>> label_of;  // by names without their endings
  for (const TextLine& line : read_lines(file)) {
    const auto end = line.text.find_first_of(", \t");
    const std::string stem = fs::path(std::string(line.text.substr(0, end))).stem().string();
    if (lower_case(stem) == "imageid") continue;  // the header
    const auto begin = line.text.find_first_not_of(", \t", end);
    if (begin == std::string_view::npos) line.fail("names no class");
    const std::string_view rest = line.text.substr(begin);
    label_of[stem] = class_of(line, rest.substr(0, rest.find_first_of(", \t")), classes);
  }
  Labels labels;
  for (const std::string& image : images) {
    const auto found = label_of.find(fs::path(image).stem().string());
    CHECK(found != label_of.end(), file.string(), ": has no line for ", image);
    labels.push_back(found->second);
  }
  return labels;
}

/// The lines of a file that has one for each image.
std::vector<TextLine> line_each(const fs::path& file, const Images& images) {
  std::vector<TextLine> lines = read_lines(file);
  CHECK(lines.size() == images.size(), file.string(), ": has ", lines.size(), " lines for ",
        images.size(), " images");
  return lines;
}

Labels in_order(const fs::path& file, const Images& images, const Classes& classes) {
  Labels labels;
  for (const TextLine& line : line_each(file, images))
    labels.push_back(class_of(line, line.text, classes));
  return labels;
}

/// The class of each ID of ILSVRC2012, by the devkit's meta.mat.
std::map<std::int64_t, std::string> classes_of_ids(const fs::path& meta) {
  constexpr std::int64_t kMost = 1'000'000;
  const MatValue synsets = MatFile(meta).variable("synsets");
  std::map<std::int64_t, std::string> names;
  for (std::int64_t i = 0; i < synsets.count(); ++i) {
    // Others are groups of classes.
    if (synsets.field(i, "num_children").integer(0, 0, kMost) != 0) continue;
    names[synsets.field(i, "ILSVRC2012_ID").integer(0, 1, kMost)] = synsets.field(i, "WNID").text();
  }
  return names;
}

Labels by_id(const fs::path& file, const Images& images, const Classes& classes) {
  const std::map<std::int64_t, std::string> names = classes_of_ids(file.parent_path() / "meta.mat");
  Labels labels;
  for (const TextLine& line : line_each(file, images)) {
    const auto id = line.integer(line.text, "the ID", 1, std::int64_t{1} << 30);
    const auto name = names.find(id);
    if (name == names.end()) line.fail(message("has ID ", id, ", which meta.mat does not have"));
    labels.push_back(class_of(line, name->second, classes));
  }
  return labels;
}

struct LabelFile {
  const char* name;
  Labels (*read)(const fs::path&, const Images&, const Classes&);
};
constexpr std::array kLabelFiles = {
    LabelFile{"LOC_val_solution.csv", by_name},
    LabelFile{"val.txt", by_name},
    LabelFile{"ILSVRC2012_val.txt", by_name},
    LabelFile{"val_labels.txt", by_name},
    LabelFile{"imagenet_2012_validation_synset_labels.txt", in_order},
    LabelFile{"ILSVRC2012_validation_ground_truth.txt", by_id}};

std::optional<std::pair<fs::path, LabelFile>> find_labels(const fs::path& set) {
  constexpr int kFoldersUp = 3;
  fs::path folder = fs::absolute(set).lexically_normal();
  if (!folder.has_filename()) folder = folder.parent_path();
  for (int up = 0; up <= kFoldersUp; ++up, folder = folder.parent_path()) {
    for (const char* devkit : {"", "ILSVRC2012_devkit_t12/data", "devkit/data"}) {
      for (const LabelFile& file : kLabelFiles) {
        if (const fs::path path = folder / devkit / file.name; fs::is_regular_file(path))
          return {{path, file}};
      }
    }
  }
  return std::nullopt;
}

}  // namespace

std::unique_ptr<Dataset> open_imagenet_val(const fs::path& folder, const fs::path& set) {
  LeftOut left_out;
  FolderListing listing = list_folder(folder, left_out);
  const auto train = split_folder(set, "train");
  if (!listing.folders.empty() || listing.images.empty() || !train) return nullptr;
  const auto labels = find_labels(set);
  if (!labels) return nullptr;
  Classes classes = list_folder(*train).folders;
  const auto& [file, form] = *labels;
  Labels numbers = form.read(file, listing.images, classes);
  return std::make_unique<FileDataset>("imagefolder", folder, std::move(listing.images),
                                       std::move(numbers), std::move(classes),
                                       FileNotes{left_out.text(), ""});
}

}  // namespace invp
