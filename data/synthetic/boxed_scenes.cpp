#include "data/synthetic/boxed_scenes.h"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "data/images/encode.h"
#include "data/synthetic/scene.h"
#include "data/synthetic/set_folder.h"
#include "engine/core/error.h"
#include "engine/core/parallel.h"
#include "engine/files/atomic_file.h"

namespace invp {

namespace {

namespace fs = std::filesystem;

const char* year_of(SyntheticSplit split) {
  return split == SyntheticSplit::kTrain ? "train2017" : "val2017";
}

std::string file_name(std::int64_t index) {
  char name[32];
  std::snprintf(name, sizeof name, "%012lld.jpg", static_cast<long long>(index + 1));
  return name;
}

nlohmann::ordered_json categories(const SyntheticOptions& options) {
  auto list = nlohmann::ordered_json::array();
  for (int label = 0; label < options.classes; ++label)
    list.push_back({{"id", label + 1}, {"name", synthetic_class_name(label).substr(3)}});
  return list;
}

/// Draws and writes pictures [begin, end) of a split; returns what is in them.
std::vector<std::vector<DrawnObject>> write_pictures(const fs::path& folder,
                                                     const SynthesizeOptions& options,
                                                     SyntheticSplit split, std::int64_t begin,
                                                     std::int64_t end) {
  const JpegOptions jpeg{.quality = options.jpeg_quality, .subsampling = Subsampling::k444};
  std::vector<std::vector<DrawnObject>> objects(static_cast<std::size_t>(end - begin));
  parallel_for(begin, end, 1, [&](std::int64_t first, std::int64_t last) {
    for (std::int64_t i = first; i < last; ++i) {
      BoxedScene scene = draw_boxed_scene(options.set, split, i);
      write_file(folder / file_name(i), encode_jpeg(scene.picture, jpeg), Flush::kNo);
      objects[static_cast<std::size_t>(i - begin)] = std::move(scene.objects);
    }
  });
  return objects;
}

void add_annotations(const std::vector<DrawnObject>& objects, std::int64_t picture,
                     nlohmann::ordered_json& list) {
  for (const DrawnObject& object : objects) {
    const int width = object.right - object.left, height = object.bottom - object.top;
    list.push_back({{"id", list.size() + 1},
                    {"image_id", picture + 1},
                    {"category_id", object.label + 1},
                    {"bbox", {object.left, object.top, width, height}},
                    {"area", width * height},
                    {"iscrowd", 0}});
  }
}

}  // namespace

BoxedScene draw_boxed_scene(const SyntheticOptions& options, SyntheticSplit split,
                            std::int64_t index) {
  check(options);
  CHECK(index >= 0, "[synthetic] images are numbered from 0, got ", index);
  // Other pictures than those of draw_synthetic.
  constexpr std::uint64_t kOtherSplits = 2;
  Random random(options.seed, Purpose::kSynthetic, static_cast<std::uint64_t>(split) + kOtherSplits,
                static_cast<std::uint64_t>(index));
  std::vector<synthetic::Object> objects;
  const synthetic::Scene scene = synthetic::compose_several(options.classes, random, objects);
  BoxedScene drawn{.picture = synthetic::draw(scene, options.size, random)};
  for (const synthetic::Object& object : objects) {
    const synthetic::Extent extent =
        synthetic::extent_of(scene.figures[object.figure], options.size);
    if (extent.right - extent.left < 2 || extent.bottom - extent.top < 2) continue;
    drawn.objects.push_back({object.label, extent.left, extent.top, extent.right, extent.bottom});
  }
  return drawn;
}

void synthesize_boxes(const fs::path& dir, const SynthesizeOptions& options,
                      const std::function<void(std::int64_t, std::int64_t)>& progress) {
  check_new_set(dir, options);
  constexpr std::int64_t kChunk = 64;  // between two calls of progress
  std::int64_t done = 0;
  make_set_folder(dir / "annotations");
  for (const SyntheticSplit split : {SyntheticSplit::kTrain, SyntheticSplit::kVal}) {
    const std::int64_t count = split == SyntheticSplit::kTrain ? options.train : options.val;
    const fs::path folder = dir / year_of(split);
    make_set_folder(folder);
    auto images = nlohmann::ordered_json::array();
    auto annotations = nlohmann::ordered_json::array();
    for (std::int64_t begin = 0; begin < count; begin += kChunk) {
      const std::int64_t end = std::min(begin + kChunk, count);
      const auto objects = write_pictures(folder, options, split, begin, end);
      for (std::int64_t i = begin; i < end; ++i) {
        images.push_back({{"id", i + 1},
                          {"file_name", file_name(i)},
                          {"width", options.set.size},
                          {"height", options.set.size}});
        add_annotations(objects[static_cast<std::size_t>(i - begin)], i, annotations);
      }
      done += end - begin;
      if (progress) progress(done, options.train + options.val);
    }
    const nlohmann::ordered_json all = {{"images", std::move(images)},
                                        {"annotations", std::move(annotations)},
                                        {"categories", categories(options.set)}};
    write_file(dir / "annotations" / message("instances_", year_of(split), ".json"), all.dump());
  }
}

}  // namespace invp
