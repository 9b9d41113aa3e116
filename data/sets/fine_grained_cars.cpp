#include "data/sets/fine_grained_cars.h"

#include <array>

#include "data/sets/fine_grained.h"

namespace invp {

namespace fs = std::filesystem;

std::optional<fs::path> find_cars_file(const fs::path& path, const char* name) {
  for (const char* folder : {"devkit", "", "car_devkit/devkit", "car_devkit", "devkit/devkit"}) {
    const fs::path file = path / folder / name;
    if (fs::is_regular_file(file)) return file;
  }
  return std::nullopt;
}

std::optional<fs::path> find_cars_of_both(const fs::path& path) {
  return fs::is_directory(path / "car_ims") || !fs::is_directory(cars_images(path, true))
             ? find_cars_file(path, "cars_annos.mat")
             : std::nullopt;
}

std::optional<fs::path> find_cars_annotations(const fs::path& path, bool train) {
  if (train) return find_cars_file(path, "cars_train_annos.mat");
  // The second is what browsers call a file that is downloaded again, and how it is passed on.
  for (const char* name :
       {"cars_test_annos_withlabels.mat", "cars_test_annos_withlabels (1).mat"}) {
    if (auto file = find_cars_file(path, name)) return file;
  }
  return std::nullopt;
}

fs::path cars_images(const fs::path& path, bool train) {
  return innermost(path / (train ? "cars_train" : "cars_test"));
}

bool has_cars_split(const fs::path& path, bool train) {
  return find_cars_of_both(path) || find_cars_annotations(path, train) ||
         fs::is_directory(cars_images(path, train));
}

}  // namespace invp
