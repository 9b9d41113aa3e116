#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <string>

#include "data/detection/detections.h"
#include "engine/core/error.h"
#include "engine/files/atomic_file.h"
#include "engine/files/json_text.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

/// Collects text and appends it in pieces.
class Writer {
 public:
  explicit Writer(const fs::path& path) : file_(path) {}
  void add(std::string_view text) {
    text_ += text;
    if (text_.size() > (1U << 20)) flush();
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  void flush() {
    file_.append(text_);
    text_.clear();
  }
  AtomicFile file_;
  std::string text_;
};

std::string name_in_text(const DetectionSet& set, const Detection& row) {
  const std::string& name = set.pictures[static_cast<std::size_t>(row.picture)].name;
  return set.format == BoxFormat::kVoc ? name : fs::path(name).replace_extension().string();
}

/// Numbers that were text before keep their digits.
std::string line_of(const DetectionSet& set, const Detection& row, bool rounded) {
  std::string line = name_in_text(set, row);
  const auto add = [&](double value, const char* format) {
    std::array<char, 64> text{};
    std::snprintf(text.data(), text.size(), rounded ? format : " %.17g", value);
    line += text.data();
  };
  add(row.score, " %.3f");
  for (const double side : row.box) add(side, " %.1f");
  return line + '\n';
}

/// The class as part of a file's name: a set may call it anything, "a/b" or "..".
std::string file_name_of(std::string name) {
  std::ranges::replace_if(
      name, [](char c) { return c == '/' || static_cast<unsigned char>(c) < ' '; }, '_');
  return name;
}

void write_texts(const fs::path& folder, const DetectionSet& set, const Detections& detections) {
  const Detections text = as_voc_text(detections);
  std::vector<std::string> files(set.classes.size());
  for (const Detection& row : text.rows) {
    files[static_cast<std::size_t>(row.label)] +=
        line_of(set, row, detections.form != BoxForm::kVocText);
  }
  for (std::size_t c = 0; c < files.size(); ++c)
    write_file(folder / ("comp4_det_test_" + file_name_of(set.classes[c]) + ".txt"), files[c]);
}

void write_results(const fs::path& folder, const DetectionSet& set, const Detections& detections) {
  Writer file(folder / kResultsFile);
  const char* before = "[";
  for (const Detection& row : as_sizes(detections).rows) {
    const Json entry = {{"image_id", result_id(set, row.picture)},
                        {"category_id", set.class_ids[static_cast<std::size_t>(row.label)]},
                        {"bbox", row.box},
                        {"score", row.score}};
    file.add(before + json_text(entry));
    before = ",\n";
  }
  file.add(before[0] == '[' ? "[]\n" : "]\n");
  file.commit();
}

Json annotation_of(const DetectionSet& set, const BoxedObject& object, std::int64_t picture,
                   std::int64_t id) {
  const ObjectBox& box = object.box;
  return {{"id", id},
          {"image_id", result_id(set, picture)},
          {"category_id", set.class_ids[static_cast<std::size_t>(object.label)]},
          {"bbox", {box.x, box.y, box.width, box.height}},
          {"area", object.area},
          {"iscrowd", object.difficult ? 1 : 0}};
}

void write_truth(const fs::path& folder, const DetectionSet& set) {
  Json truth = {
      {"images", Json::array()}, {"annotations", Json::array()}, {"categories", Json::array()}};
  std::int64_t id = 0;
  for (std::int64_t i = 0; i < std::ssize(set.pictures); ++i) {
    const BoxedPicture& picture = set.pictures[static_cast<std::size_t>(i)];
    truth["images"].push_back({{"id", result_id(set, i)},
                               {"file_name", picture.name + ".jpg"},
                               {"width", picture.width},
                               {"height", picture.height}});
    // The official evaluator takes an id of 0 for "not matched".
    for (const BoxedObject& object : set.objects_of(i)) {
      if (object.fault != BoxFault::kNotFinite)
        truth["annotations"].push_back(annotation_of(set, object, i, ++id));
    }
  }
  for (std::size_t c = 0; c < set.classes.size(); ++c)
    truth["categories"].push_back({{"id", set.class_ids[c]}, {"name", set.classes[c]}});
  write_file(folder / kTruthFile, json_text(truth) + '\n');
}

}  // namespace

void write_detections(const fs::path& folder, const DetectionSet& set,
                      const Detections& detections) {
  std::error_code broken;
  fs::create_directories(folder, broken);
  CHECK(!broken, folder.string(), ": cannot be made (", broken.message(), ")");
  write_texts(folder, set, detections);
  write_results(folder, set, detections);
  if (set.format == BoxFormat::kVoc) write_truth(folder, set);
}

}  // namespace invp
