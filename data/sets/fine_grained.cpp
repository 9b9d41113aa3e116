// Recognising the sets of fine_grained.h, and those that need text and folders alone.
#include "data/sets/fine_grained.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "data/sets/file_list.h"
#include "data/sets/image_folder.h"
#include "data/sets/subset.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t kPets = 37;
constexpr std::int64_t kBirds = 200;
constexpr std::int64_t kMostImages = 10'000'000;

fs::path birds_folder(const fs::path& path) {
  return fs::exists(path / "CUB_200_2011") ? path / "CUB_200_2011" : path;
}

fs::path caltech_folder(const fs::path& path) {
  const fs::path official = path / "101_ObjectCategories";
  return innermost(fs::exists(official) ? official : path);
}

bool is_caltech(const fs::path& path) {
  if (fs::is_directory(path / "101_ObjectCategories") ||
      fs::is_directory(path / "BACKGROUND_Google"))
    return true;
  return std::ranges::all_of(
      std::array{"Faces", "Faces_easy", "Leopards", "Motorbikes", "accordion", "yin_yang"},
      [&](const char* name) { return fs::is_directory(path / name); });
}

fs::path pets_list(const fs::path& path, bool train) {
  return innermost(path / "annotations") / (train ? "trainval.txt" : "test.txt");
}

struct Pet {
  std::string image;
  std::int32_t label;
};

std::vector<Pet> read_pets(const fs::path& list) {
  std::vector<Pet> pets;
  for (const TextLine& line : read_lines(list)) {
    if (line.text.starts_with('#')) continue;
    const auto words = line.words();
    if (words.size() != 4) line.fail("is not \"IMAGE CLASS SPECIES BREED\"");
    pets.push_back({std::string(words[0]),
                    static_cast<std::int32_t>(line.integer(words[1], "class", 1, kPets) - 1)});
  }
  return pets;
}

/// "ID WORD" lines of the birds by their IDs.
class ById {
 public:
  explicit ById(const fs::path& file) : file_(file) {
    for (TextLine& line : read_lines(file)) {
      const auto words = line.words();
      if (words.size() != 2) line.fail("is not \"ID VALUE\"");
      const std::int64_t id = line.integer(words[0], "an ID", 1, kMostImages);
      if (!lines_.emplace(id, std::make_pair(line, words[1])).second)
        line.fail(message("has ID ", id, " for the second time"));
    }
  }

  const auto& all() const { return lines_; }
  std::string_view value(std::int64_t id) const { return found(id).second; }
  std::int64_t integer(std::int64_t id, const char* what, std::int64_t low,
                       std::int64_t high) const {
    const auto& [line, word] = found(id);
    return line.integer(word, what, low, high);
  }

 private:
  const std::pair<TextLine, std::string_view>& found(std::int64_t id) const {
    const auto at = lines_.find(id);
    CHECK(at != lines_.end(), file_.string(), ": has no line for ID ", id);
    return at->second;
  }

  fs::path file_;
  std::map<std::int64_t, std::pair<TextLine, std::string_view>> lines_;
};

}  // namespace

fs::path innermost(const fs::path& folder) {
  const fs::path inner = folder / folder.filename();
  return !folder.filename().empty() && fs::is_directory(inner) ? inner : folder;
}

std::optional<std::string> recognise_fine_grained(const fs::path& path) {
  if (fs::exists(path / "setid.mat") && fs::exists(path / "imagelabels.mat")) return "flowers102";
  if (has_cars_split(path, true)) return "cars";
  if (has_pets_split(path, true) && fs::exists(path / "images")) return "pets";
  const fs::path birds = birds_folder(path);
  if (fs::exists(birds / "train_test_split.txt") && fs::exists(birds / "images.txt"))
    return "cub200";
  if (is_caltech(path)) return "caltech101";
  return std::nullopt;
}

bool has_pets_split(const fs::path& path, bool train) {
  return fs::exists(pets_list(path, train));
}

std::unique_ptr<Dataset> open_pets(const fs::path& path, bool train) {
  const fs::path list = pets_list(path, train);
  const std::vector<Pet> pets = read_pets(list);
  std::vector<std::string> classes = numbered_classes(kPets);
  const auto name_classes = [&](const std::vector<Pet>& named) {
    // "yorkshire_terrier_12" is the twelfth yorkshire_terrier.
    for (const auto& [image, label] : named)
      classes[static_cast<std::size_t>(label)] = image.substr(0, image.rfind('_'));
  };
  if (has_pets_split(path, !train)) name_classes(read_pets(pets_list(path, !train)));
  name_classes(pets);
  const fs::path images = innermost(path / "images").lexically_relative(path);
  FileList files;
  for (const auto& [image, label] : pets) {
    files.paths.push_back((images / (image + ".jpg")).string());
    files.labels.push_back(label);
  }
  return listed_files("pets", path, std::move(files), std::move(classes), list);
}

std::unique_ptr<Dataset> open_cub200(const fs::path& path, bool train) {
  const fs::path root = birds_folder(path);
  const ById images(root / "images.txt");
  const ById label_of(root / "image_class_labels.txt");
  const ById trained_on(root / "train_test_split.txt");
  const ById names(root / "classes.txt");
  std::vector<std::string> classes;
  for (std::int64_t i = 1; i <= kBirds; ++i) classes.emplace_back(names.value(i));
  FileList files;
  for (const auto& [id, entry] : images.all()) {
    const std::int64_t label = label_of.integer(id, "class", 1, kBirds) - 1;
    if ((trained_on.integer(id, "a split", 0, 1) == 1) != train) continue;
    files.paths.push_back("images/" + std::string(entry.second));
    files.labels.push_back(static_cast<std::int32_t>(label));
  }
  return listed_files("cub200", root, std::move(files), std::move(classes), root / "images.txt");
}

std::unique_ptr<Dataset> open_caltech101(const fs::path& path, bool train, std::uint64_t seed) {
  static constexpr std::int64_t kTrainedOn = 30;
  const std::shared_ptr<const Dataset> all =
      open_image_folder(caltech_folder(path), "caltech101", {"BACKGROUND_Google"});
  std::vector<std::int64_t> chosen = draw_per_class(*all, seed, [](std::int64_t images) {
    return std::min(kTrainedOn, std::max<std::int64_t>(images - 1, 1));
  });
  if (!train) {
    std::vector<std::int64_t> rest;
    for (std::int64_t i = 0; i < all->size(); ++i) {
      if (!std::ranges::binary_search(chosen, i)) rest.push_back(i);
    }
    chosen = std::move(rest);
    CHECK(!chosen.empty(), path.string(), ": no class has a second picture to test on");
  }
  return subset(all, std::move(chosen));
}

}  // namespace invp
