#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "data/detection/detections.h"
#include "data/detection/json_records.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

std::string without_ending(const std::string& name) {
  return fs::path(name).replace_extension().string();
}

/// Finds the pictures and classes that a file of detections names, and counts those that are not
/// there.
class Names {
 public:
  explicit Names(const DetectionSet& set) : set_(set) {
    for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
      const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(i)];
      const bool voc = set.format == BoxFormat::kVoc;
      by_name_.emplace(voc ? picture.name : without_ending(picture.name), i);
      by_id_.emplace(result_id(set, i), i);
    }
    for (std::size_t c = 0; c < set.classes.size(); ++c)
      classes_.emplace(set.class_ids[c], static_cast<std::int32_t>(c));
  }

  /// -1 if it is not in the set.
  std::int32_t picture(std::string_view name) const { return found(by_name_, std::string(name)); }
  std::int32_t picture(std::int64_t id) const { return found(by_id_, id); }
  /// -1 if it is none.
  std::int32_t label(std::int64_t id) const { return found(classes_, id); }

  /// Counts a detection; of an unknown picture if `where` says which.
  void count(bool known, const auto& where) {
    ++all_;
    if (known) return;
    if (unknown_++ == 0) first_ = where();
  }
  /// Throws Error if a detection was of an unknown picture.
  void check(const std::string& source) const {
    if (unknown_ == 0) return;
    const std::string split = "the split " + set_.split;
    fail(first_, ", which is not in ", split, "; so are ", unknown_, " of the ", all_,
         " detections of ", source,
         unknown_ == all_ ? ": its ids do not match; is it of another split?"
                          : "; give the split that they are of, or take them out");
  }

 private:
  template <class Map, class Key>
  static std::int32_t found(const Map& map, const Key& key) {
    const auto at = map.find(key);
    return at == map.end() ? -1 : static_cast<std::int32_t>(at->second);
  }

  const DetectionSet& set_;
  std::unordered_map<std::string, std::int64_t> by_name_;
  std::unordered_map<std::int64_t, std::int64_t> by_id_;
  std::unordered_map<std::int64_t, std::int32_t> classes_;
  std::int64_t all_ = 0, unknown_ = 0;
  std::string first_;
};

// --- COCO's results

/// An entry, once its picture is known.
Detection detection_of(std::span<const JsonValue> record, const std::string& where,
                       const Names& names, const DetectionSet& set) {
  CHECK(record[1].kind == JsonValue::Kind::kInteger, where,
        " has no category_id that is a whole number");
  Detection detection;
  detection.label = names.label(record[1].integer);
  CHECK(detection.label >= 0, where, " is of category ", record[1].integer, ", which ",
        set.source.string(), " lacks; its ids are ", set.class_ids.front(), " to ",
        set.class_ids.back());
  const JsonValue& box = record[2];
  CHECK(box.kind == JsonValue::Kind::kNumbers && box.numbers.size() == 4, where,
        " has no bbox of four numbers [x, y, width, height]");
  for (std::size_t k = 0; k < 4; ++k) {
    CHECK(std::isfinite(box.numbers[k]), where, ": its bbox holds what is no finite number");
    detection.box[k] = box.numbers[k];
  }
  CHECK(record[3].kind != JsonValue::Kind::kMissing, where, " has no score");
  CHECK(record[3].is_number() && std::isfinite(record[3].number), where,
        ": its score is no finite number; a detector that gives NaN has diverged");
  detection.score = record[3].number;
  return detection;
}

std::string shown(const JsonValue& id) {
  return id.kind == JsonValue::Kind::kText ? '"' + id.text + '"' : std::to_string(id.integer);
}

Detections read_results(const fs::path& file, const DetectionSet& set) {
  Names names(set);
  Detections found{BoxForm::kSizes, {}, file.string()};
  JsonList list{"", {"image_id", "category_id", "bbox", "score"}, {}};
  list.take = [&](std::span<const JsonValue> record, std::int64_t index) {
    const auto where = [&] { return message(file.string(), ": entry ", index); };
    const JsonValue& id = record[0];
    const bool text = id.kind == JsonValue::Kind::kText;
    CHECK(text || id.kind == JsonValue::Kind::kInteger, where(),
          " has no image_id that is a whole number or a name");
    const std::int32_t picture = text ? names.picture(id.text) : names.picture(id.integer);
    names.count(picture >= 0, [&] { return where() + " is of picture " + shown(id); });
    if (picture < 0) return;
    // The text is made for faults only: there are many entries.
    try {
      found.rows.push_back(detection_of(record, "", names, set));
    } catch (const Error& error) {
      fail(where(), error.what());
    }
    found.rows.back().picture = picture;
  };
  read_json_lists(file, std::span(&list, 1));
  CHECK(list.found, file.string(),
        ": is no list; COCO's results are [{\"image_id\": ..., \"category_id\": ..., \"bbox\": [x, "
        "y, "
        "width, height], \"score\": ...}, ...]");
  names.check(file.string());
  return found;
}

// --- VOC's text

/// The class of "comp4_det_test_aeroplane.txt"; -1 for another file.
std::int32_t class_of_file(const fs::path& file, const DetectionSet& set) {
  const std::string name = file.filename().string();
  if (!name.starts_with("comp") || name.find("_det_") == std::string::npos) return -1;
  // The longest, since "train" may stand for a split and "dining table" ends in "table".
  std::int32_t best = -1;
  for (std::size_t c = 0; c < set.classes.size(); ++c) {
    const bool longer =
        best < 0 || set.classes[c].size() > set.classes[static_cast<std::size_t>(best)].size();
    if (name.ends_with('_' + set.classes[c] + ".txt") && longer)
      best = static_cast<std::int32_t>(c);
  }
  return best;
}

double number_of(const TextLine& line, std::string_view word, const char* what) {
  double value = 0;
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || stop != word.data() + word.size() || !std::isfinite(value))
    line.fail(message("has ", what, " \"", word, "\", which is no finite number"));
  return value;
}

void add_class_file(const fs::path& file, std::int32_t label, Names& names, Detections& found) {
  for (const TextLine& line : read_lines(file)) {
    const auto words = line.words();
    if (words.size() != 6) {
      line.fail(
          message("has ", words.size(), " words; \"ID score xmin ymin xmax ymax\" was expected"));
    }
    Detection detection{names.picture(words[0]), label, number_of(line, words[1], "the score"), {}};
    for (std::size_t k = 0; k < 4; ++k)
      detection.box[k] = number_of(line, words[k + 2], "the coordinate");
    names.count(detection.picture >= 0, [&] {
      return message(file.string(), ": line ", line.number, " is of picture ", words[0]);
    });
    if (detection.picture >= 0) found.rows.push_back(detection);
  }
}

Detections read_class_files(const fs::path& source, const std::vector<fs::path>& files,
                            const DetectionSet& set) {
  Names names(set);
  Detections found{BoxForm::kVocText, {}, source.string()};
  std::vector<const fs::path*> of_class(set.classes.size(), nullptr);
  for (const fs::path& file : files) {
    const std::int32_t label = class_of_file(file, set);
    CHECK(label >= 0, file.string(),
          ": is of no class of the set; expected is "
          "comp4_det_test_CLASS.txt");
    const fs::path*& before = of_class[static_cast<std::size_t>(label)];
    CHECK(before == nullptr, file.string(), ": is of the same class as ",
          before->filename().string(), "; leave one of them");
    before = &file;
    add_class_file(file, label, names, found);
  }
  names.check(source.string());
  return found;
}

Detections read_folder(const fs::path& folder, const DetectionSet& set) {
  std::vector<fs::path> texts, jsons;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with("comp") && name.find("_det_") != std::string::npos &&
        name.ends_with(".txt"))
      texts.push_back(entry.path());
    if (name.ends_with(".json") && name != kTruthFile) jsons.push_back(entry.path());
  }
  std::ranges::sort(texts);
  if (!texts.empty()) return read_class_files(folder, texts, set);
  CHECK(!jsons.empty(), folder.string(),
        ": no detections in it; expected are comp4_det_test_CLASS.txt or ", kResultsFile);
  CHECK(jsons.size() == 1, folder.string(),
        ": holds several JSON files; give the one with the detections");
  return read_results(jsons.front(), set);
}

}  // namespace

std::int64_t result_id(const DetectionSet& set, std::int64_t picture) {
  const BoxedPicture& of = set.pictures[static_cast<std::size_t>(picture)];
  if (set.format == BoxFormat::kCoco) return of.id;
  std::int64_t digits = 0;
  for (const char c : of.name) {
    if (c == '_') continue;
    // IDs of no digits are numbered by row, out of reach of the others.
    if (c < '0' || c > '9' || digits > std::numeric_limits<std::int64_t>::max() / 1000)
      return -1 - of.id;
    digits = digits * 10 + (c - '0');
  }
  return digits;
}

Detections read_detections(const fs::path& path, const DetectionSet& set) {
  CHECK(fs::exists(path), path.string(), ": no such file or folder; check the path");
  if (fs::is_directory(path)) return read_folder(path, set);
  if (path.extension() == ".txt") return read_class_files(path, {path}, set);
  return read_results(path, set);
}

}  // namespace invp
