#include "data/sets/voc.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "data/sets/folder_listing.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

fs::path main_folder(const fs::path& year) {
  return year / "ImageSets" / "Main";
}

bool is_year(const fs::path& path) {
  return fs::is_directory(path / "JPEGImages") && fs::is_directory(main_folder(path));
}

/// The folders of the years, which lie below folders with "voc" in their names, or in a VOCdevkit
/// in one of few others. Not every folder is looked into: those of a large set would take long.
void collect_years(const fs::path& path, int depth, std::vector<fs::path>& years) {
  constexpr int kMaxDepth = 4;
  constexpr std::array kOthers = {"train", "test", "TrainVal", "trainval"};
  if (is_year(path)) {
    years.push_back(path);
    return;
  }
  if (depth == kMaxDepth || !fs::is_directory(path)) return;
  for (const std::string& name : list_folder(path).folders) {
    if (lower_case(name).find("voc") != std::string::npos)
      collect_years(path / name, depth + 1, years);
    else if (std::ranges::find(kOthers, name) != kOthers.end())
      collect_years(path / name / "VOCdevkit", depth + 2, years);
  }
}

/// "CLASS" of every CLASS_SPLIT.txt, sorted.
std::vector<std::string> classes_of(const fs::path& folder, const std::string& split) {
  const std::string ending = "_" + split + ".txt";
  std::vector<std::string> classes;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (is_clutter(name)) continue;
    if (name.size() > ending.size() && name.ends_with(ending))
      classes.push_back(name.substr(0, name.size() - ending.size()));
  }
  std::ranges::sort(classes);
  CHECK(std::ssize(classes) == kVocClasses, folder.string(), ": ", classes.size(), " files *",
        ending, ", expected is one for each of the ", kVocClasses, " classes");
  return classes;
}

/// Of a line "ID FLAG".
Presence presence_of(const TextLine& line) {
  const auto words = line.words();
  const std::string_view flag = words.size() == 2 ? words[1] : "";
  if (flag == "1") return Presence::kPresent;
  if (flag == "-1") return Presence::kAbsent;
  if (flag == "0") return Presence::kUnclear;
  line.fail("is \"" + std::string(line.text) +
            "\"; \"ID FLAG\" with a flag of 1, -1 or 0 was expected");
}

class VocDataset final : public FileDataset {
 public:
  VocDataset(const fs::path& year, std::vector<std::string> paths, std::vector<std::int32_t> labels,
             std::vector<std::string> classes, std::vector<Presence> presences)
      : FileDataset("voc", year / "JPEGImages", std::move(paths), std::move(labels),
                    std::move(classes)),
        presences_(std::move(presences)) {}

  std::span<const Presence> presences(std::int64_t index) const override {
    return std::span(presences_).subspan(place(index) * kVocClasses, kVocClasses);
  }

 private:
  std::vector<Presence> presences_;  ///< by picture, by class
};

}  // namespace

std::vector<fs::path> all_voc_years(const fs::path& path) {
  std::vector<fs::path> years;
  collect_years(path, 0, years);
  std::ranges::sort(years);
  return years;
}

std::vector<fs::path> find_voc_years(const fs::path& path) {
  std::vector<fs::path> years = all_voc_years(path);
  if (years.empty()) return years;
  const bool has_2007 =
      std::ranges::any_of(years, [](const fs::path& year) { return year.filename() == "VOC2007"; });
  const fs::path wanted = has_2007 ? "VOC2007" : years.front().filename();
  std::erase_if(years, [&](const fs::path& year) { return year.filename() != wanted; });
  return years;
}

std::optional<fs::path> find_voc(const fs::path& path) {
  const std::vector<fs::path> years = find_voc_years(path);
  return years.empty() ? std::nullopt : std::optional(years.front());
}

std::optional<VocPart> find_voc_part(const fs::path& path, std::string_view split) {
  for (const fs::path& year : find_voc_years(path)) {
    if (fs::is_regular_file(main_folder(year) / (std::string(split) + ".txt")))
      return VocPart{year, std::string(split)};
  }
  return std::nullopt;
}

std::optional<VocPart> voc_part(const fs::path& path, std::string_view split) {
  const auto test = find_voc_part(path, "test");
  if (split == "train" && test) {
    if (auto trainval = find_voc_part(path, "trainval")) return trainval;
  }
  if (split == "val" && test) return test;
  if (auto part = find_voc_part(path, split)) return part;
  return split == "test" ? find_voc_part(path, "val") : std::nullopt;
}

std::unique_ptr<Dataset> open_voc(const fs::path& year, std::string_view split) {
  const fs::path folder = main_folder(year);
  const fs::path list = folder / (std::string(split) + ".txt");
  std::vector<std::string> paths;
  std::map<std::string, std::size_t, std::less<>> rows;
  for (const TextLine& line : read_lines(list)) {
    if (line.words().size() != 1) line.fail("holds more than the ID of one picture");
    if (!rows.emplace(line.text, paths.size()).second)
      line.fail("names " + std::string(line.text) + " for the second time");
    paths.push_back(std::string(line.text) + ".jpg");
  }
  CHECK(!paths.empty(), list.string(), ": the list is empty");

  std::vector<std::string> classes = classes_of(folder, std::string(split));
  std::vector<Presence> presences(paths.size() * kVocClasses, Presence::kUnclear);
  for (std::size_t c = 0; c < classes.size(); ++c) {
    const fs::path file = folder / (classes[c] + "_" + std::string(split) + ".txt");
    for (const TextLine& line : read_lines(file)) {
      const Presence presence = presence_of(line);
      const auto row = rows.find(line.words()[0]);
      if (row == rows.end()) {
        line.fail("names " + std::string(line.words()[0]) + ", which is not in " +
                  list.filename().string());
      }
      presences[row->second * kVocClasses + c] = presence;
    }
  }

  std::vector<std::int32_t> labels;
  for (std::size_t i = 0; i < paths.size(); ++i) {
    const auto of_picture = std::span(presences).subspan(i * kVocClasses, kVocClasses);
    auto first = std::ranges::find(of_picture, Presence::kPresent);
    if (first == of_picture.end()) first = std::ranges::find(of_picture, Presence::kUnclear);
    CHECK(first != of_picture.end(), list.string(), ": ", paths[i],
          " shows no class by the files beside the list");
    labels.push_back(static_cast<std::int32_t>(first - of_picture.begin()));
  }
  return std::make_unique<VocDataset>(year, std::move(paths), std::move(labels), std::move(classes),
                                      std::move(presences));
}

}  // namespace invp
