// The reference numbers of tests/golden/data/detection as sets and detections.
#pragma once

#include <nlohmann/json.hpp>
#include <string>

#include "data/detection/detections.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {

using nlohmann::json;

inline json golden_json(const std::string& name) {
  return json::parse(read_all(golden("detection/" + name)));
}

inline DetectionSet voc_set() {
  DetectionSet set;
  set.split = "2007_test";
  for (std::size_t c = 0; c < kVocClassNames.size(); ++c) {
    set.classes.emplace_back(kVocClassNames[c]);
    set.class_ids.push_back(static_cast<std::int64_t>(c) + 1);
  }
  return set;
}

/// "main" or "edge" of eval_voc.json.
inline DetectionSet golden_voc_set(const json& of_case) {
  DetectionSet set = voc_set();
  for (const json& image : of_case["images"]) {
    BoxedPicture picture;
    picture.name = image[0].get<std::string>();
    picture.id = std::ssize(set.pictures);
    picture.width = image[1].get<int>();
    picture.height = image[2].get<int>();
    picture.first_object = std::ssize(set.objects);
    picture.objects = std::ssize(image[3]);
    set.pictures.push_back(picture);
    for (const json& of : image[3]) {
      const double x = of[2].get<double>() - 1, y = of[3].get<double>() - 1;
      BoxedObject object;
      object.label = of[0].get<int>();
      object.difficult = of[1].get<int>() != 0;
      object.box = {x, y, of[4].get<double>() - x, of[5].get<double>() - y};
      object.area = object.box.area();
      set.objects.push_back(object);
    }
  }
  return set;
}

inline Detections golden_voc_detections(const json& of_case, const DetectionSet& set) {
  Detections detections;
  for (const json& of : of_case["detections"]) {
    const auto picture =
        std::ranges::find(set.pictures, of[0].get<std::string>(), &BoxedPicture::name);
    detections.rows.push_back({static_cast<std::int32_t>(picture - set.pictures.begin()),
                               of[1].get<std::int32_t>(),
                               of[2].get<double>(),
                               {of[3], of[4], of[5], of[6]}});
  }
  return detections;
}

}  // namespace invp::testing
