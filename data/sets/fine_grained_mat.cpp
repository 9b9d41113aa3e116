// The sets of fine_grained.h whose labels are in MATLAB's files.
#include <array>
#include <cstdio>

#include "data/sets/file_list.h"
#include "data/sets/fine_grained.h"
#include "data/sets/fine_grained_cars.h"
#include "data/sets/folder_listing.h"
#include "data/sets/image_folder.h"
#include "data/sets/mat_file.h"
#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kFlowers = 102;
constexpr std::int64_t kCars = 196;

std::vector<std::string> names_of_cars(const MatValue& names) {
  CHECK(names.count() == kCars, "class_names: ", names.count(), " names of cars instead of ",
        kCars);
  std::vector<std::string> classes;
  for (std::int64_t i = 0; i < kCars; ++i) classes.push_back(names.cell(i).text());
  return classes;
}

std::vector<std::string> names_of_cars(const fs::path& path) {
  const auto meta = find_cars_file(path, "cars_meta.mat");
  return meta ? names_of_cars(MatFile(*meta).variable("class_names")) : numbered_classes(kCars);
}

}  // namespace

std::unique_ptr<Dataset> open_flowers102(const fs::path& path, bool train) {
  const fs::path split = path / "setid.mat";
  const MatValue label_of = MatFile(path / "imagelabels.mat").variable("labels");
  constexpr std::int64_t kMostImages = 100'000;  // there are 8,189
  CHECK(label_of.count() <= kMostImages, (path / "imagelabels.mat").string(),
        ": labels: ", label_of.count(), " images; is it of Flowers-102?");
  const MatFile ids(split);
  FileList files;
  for (const char* part : train ? std::vector{"trnid", "valid"} : std::vector{"tstid"}) {
    const MatValue images = ids.variable(part);
    CHECK(images.count() <= label_of.count(), split.string(), ": ", part, ": names ",
          images.count(), " images of ", label_of.count());
    for (std::int64_t i = 0; i < images.count(); ++i) {
      const std::int64_t image = images.integer(i, 1, label_of.count());
      std::array<char, 32> name{};
      std::snprintf(name.data(), name.size(), "jpg/image_%05d.jpg", static_cast<int>(image));
      files.paths.emplace_back(name.data());
      files.labels.push_back(
          static_cast<std::int32_t>(label_of.integer(image - 1, 1, kFlowers) - 1));
    }
  }
  std::vector<std::string> classes;
  for (std::int64_t i = 1; i <= kFlowers; ++i) classes.push_back(std::to_string(i));
  return listed_files("flowers102", path, std::move(files), std::move(classes), split);
}

std::unique_ptr<Dataset> open_cars(const fs::path& path, bool train) {
  const auto both = find_cars_of_both(path);
  const char* const wanted = train ? "cars_train_annos.mat" : "cars_test_annos_withlabels.mat";
  const auto file = both ? both : find_cars_annotations(path, train);
  const fs::path images = cars_images(path, train);
  if (!file) {
    const std::string missing = message(
        path.string(), ": has no ", wanted, ", neither there nor in devkit/", packed_hint(path),
        train ? "" : "; the test set's labels are a download of their own");
    CHECK(fs::is_directory(images), missing);
    return open_unlabeled_folder(images, "cars", missing + "; without it there are no labels");
  }
  const MatFile annotations(*file);
  const MatValue entries = annotations.variable("annotations");
  CHECK(entries.is_structure(), file->string(), ": annotations are no structures");
  const fs::path below = images.lexically_relative(path);
  FileList files;
  for (std::int64_t i = 0; i < entries.count(); ++i) {
    const std::int64_t label = entries.field(i, "class").integer(0, 1, kCars) - 1;
    if (both && (entries.field(i, "test").integer(0, 0, 1) == 0) != train) continue;
    files.paths.push_back(both ? entries.field(i, "relative_im_path").text()
                               : (below / entries.field(i, "fname").text()).string());
    files.labels.push_back(static_cast<std::int32_t>(label));
  }
  return listed_files(
      "cars", path, std::move(files),
      both ? names_of_cars(annotations.variable("class_names")) : names_of_cars(path), *file);
}

}  // namespace invp
