#include "data/detection/voc_boxes.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <unordered_set>
#include <utility>

#include "data/sets/text_lines.h"
#include "data/sets/voc.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/core/text.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

/// A list of one year.
struct Part {
  fs::path year;
  std::string name;  ///< "trainval"

  fs::path list() const { return year / "ImageSets" / "Main" / (name + ".txt"); }
  /// "2007_trainval"
  std::string title() const {
    const std::string folder = year.filename().string();
    return (folder.starts_with("VOC") ? folder.substr(3) : folder) + '_' + name;
  }
};

/// Every year's list of this name.
std::vector<Part> parts_named(const std::vector<fs::path>& years, const std::string& name) {
  std::vector<Part> parts;
  for (const fs::path& year : years) {
    if (Part part{year, name}; fs::is_regular_file(part.list())) parts.push_back(std::move(part));
  }
  return parts;
}

/// What stands for train, val and test; OpenBoxes::split says how.
std::vector<Part> usual_parts(const std::vector<fs::path>& years, const std::string& split) {
  std::vector<Part> test = parts_named(years, "test");
  if (split == "train" && !test.empty()) {
    if (auto parts = parts_named(years, "trainval"); !parts.empty()) return parts;
  }
  if (split == "test" || (split == "val" && !test.empty())) {
    if (test.empty()) return parts_named(years, "val");
    test.resize(1);
    return test;
  }
  return parts_named(years, split);
}

std::vector<Part> all_parts(const std::vector<fs::path>& years) {
  std::vector<Part> all;
  for (const char* name : {"trainval", "train", "val", "test"}) {
    for (Part& part : parts_named(years, name)) all.push_back(std::move(part));
  }
  return all;
}

/// Of "train" or of "2007_trainval+2012_trainval".
std::vector<Part> parts_of(const fs::path& path, const std::vector<fs::path>& years,
                           const std::string& split) {
  std::vector<Part> chosen = usual_parts(years, split);
  if (!chosen.empty()) return chosen;
  std::vector<std::string> titles;
  const std::vector<Part> known = all_parts(years);
  for (const Part& part : known) titles.push_back(part.title());
  for (std::size_t begin = 0; begin <= split.size();) {
    const std::size_t end = std::min(split.find('+', begin), split.size());
    const std::string wanted = split.substr(begin, end - begin);
    const auto found = std::ranges::find(titles, wanted);
    CHECK(found != titles.end(), path.string(), ": no split \"", wanted,
          "\" with boxes; there are ", titles.empty() ? "none" : joined(titles),
          " (several with + between them)");
    chosen.push_back(known[static_cast<std::size_t>(found - titles.begin())]);
    begin = end + 1;
  }
  return chosen;
}

/// A picture of a list, and what was wrong with it.
struct Listed {
  std::string id;
  fs::path year;
  std::string where;  ///< "trainval.txt: line 3"
  VocAnnotation annotation;
  std::optional<SetFault> fault;
};

std::vector<Listed> listed_in(const std::vector<Part>& parts) {
  std::vector<Listed> pictures;
  std::unordered_set<std::string> seen;
  for (const Part& part : parts) {
    const auto lines = read_lines(part.list());
    CHECK(!lines.empty(), part.list().string(), ": the list is empty");
    for (const TextLine& line : lines) {
      if (line.words().size() != 1) line.fail("holds more than the ID of one picture");
      std::string id(line.text);
      if (!seen.insert(id).second) line.fail("names " + id + " for the second time");
      pictures.push_back({std::move(id),
                          part.year,
                          message(line.file->path, ": line ", line.number),
                          {},
                          std::nullopt});
    }
  }
  return pictures;
}

void read_listed(Listed& picture, bool with_picture) {
  const fs::path xml = picture.year / "Annotations" / (picture.id + ".xml");
  const fs::path jpeg = picture.year / "JPEGImages" / (picture.id + ".jpg");
  try {
    for (const fs::path& file : {xml, jpeg}) {
      if (file == jpeg && !with_picture) continue;
      CHECK(fs::is_regular_file(file), picture.where, " names ", picture.id, ", but there is no ",
            file.string(), "; add the file or take the line out");
    }
    picture.annotation = read_voc_annotation(xml);
  } catch (const SystemError&) {
    throw;  // says nothing about the file
  } catch (const Error& error) {
    picture.fault = {picture.id, error.what()};
  }
}

void add_picture(DetectionSet& set, Listed& listed) {
  BoxedPicture picture{.name = std::move(listed.id),
                       .folder = (listed.year / "JPEGImages").string(),
                       .id = std::ssize(set.pictures),
                       .width = listed.annotation.width,
                       .height = listed.annotation.height,
                       .first_object = std::ssize(set.objects),
                       .objects = std::ssize(listed.annotation.objects)};
  set.pictures.push_back(std::move(picture));
  set.objects.insert(set.objects.end(), listed.annotation.objects.begin(),
                     listed.annotation.objects.end());
}

}  // namespace

std::vector<fs::path> voc_box_years(const fs::path& path) {
  std::vector<fs::path> years = all_voc_years(path);
  std::erase_if(years,
                [](const fs::path& year) { return !fs::is_directory(year / "Annotations"); });
  // 2007 before 2012, wherever they lie.
  std::ranges::stable_sort(years, {}, &fs::path::filename);
  return years;
}

std::vector<std::string> voc_box_splits(const fs::path& path) {
  const std::vector<fs::path> years = voc_box_years(path);
  std::vector<std::string> splits;
  const bool test = !parts_named(years, "test").empty();
  for (const char* split : {"train", "val", "test"}) {
    // Where there is a test split, it is what val means.
    if (split == std::string("val") && test) continue;
    if (split == std::string("test") && !test) continue;
    if (!usual_parts(years, split).empty()) splits.emplace_back(split);
  }
  return splits;
}

DetectionSet open_voc_boxes(const fs::path& path, const OpenBoxes& open) {
  const std::vector<fs::path> years = voc_box_years(path);
  CHECK(!years.empty(), path.string(),
        ": no VOC devkit with Annotations; expected is VOCdevkit/VOC2007 with Annotations, "
        "JPEGImages and ImageSets/Main");
  const std::vector<Part> parts = parts_of(path, years, open.split);
  DetectionSet set{.format = BoxFormat::kVoc,
                   .source = path,
                   .split = {},
                   .classes = {},
                   .class_ids = {},
                   .pictures = {},
                   .objects = {},
                   .faults = {}};
  for (const Part& part : parts) set.split += (set.split.empty() ? "" : "+") + part.title();
  for (std::size_t c = 0; c < kVocClassNames.size(); ++c) {
    set.classes.emplace_back(kVocClassNames[c]);
    set.class_ids.push_back(static_cast<std::int64_t>(c) + 1);
  }
  std::vector<Listed> pictures = listed_in(parts);
  parallel_for(0, std::ssize(pictures), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      read_listed(pictures[static_cast<std::size_t>(i)], open.pictures);
  });
  for (Listed& picture : pictures) {
    if (!picture.fault) {
      add_picture(set, picture);
      continue;
    }
    if (!open.tolerate) throw Error(picture.fault->reason);
    set.faults.push_back(std::move(*picture.fault));
  }
  return set;
}

}  // namespace invp
