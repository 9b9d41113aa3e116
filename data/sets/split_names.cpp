#include "data/sets/split_names.h"

#include <algorithm>
#include <array>
#include <system_error>

#include "data/sets/folder_listing.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

struct SplitNames {
  std::string_view split;
  std::array<std::string_view, 3> names;
  std::size_t count;
};
constexpr std::array kSplits = {SplitNames{"train", {"train", "training"}, 2},
                                SplitNames{"val", {"val", "validation", "valid"}, 3},
                                SplitNames{"test", {"test", "testing"}, 2},
                                SplitNames{"extra", {"extra"}, 1}};

}  // namespace

std::span<const std::string_view> names_of_split(std::string_view split) {
  for (const SplitNames& row : kSplits) {
    if (row.split == split) return std::span(row.names).first(row.count);
  }
  return {};
}

std::vector<std::string_view> splits_for(std::string_view split) {
  if (split == "val") return {"val", "test"};
  if (split == "test") return {"test", "val"};
  return {split};
}

std::optional<fs::path> split_entry(const fs::path& folder, std::string_view split,
                                    std::span<const std::string_view> endings,
                                    const std::function<bool(const fs::path&)>& fits) {
  std::vector<std::string> wanted;
  for (const std::string_view name : names_of_split(split)) {
    for (const std::string_view ending : endings)
      wanted.push_back(std::string(name) + std::string(ending));
  }
  std::optional<fs::path> best;
  std::size_t rank = wanted.size();  // of the best
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const std::string& path = at->path().native();
    const std::string_view name = std::string_view(path).substr(path.rfind('/') + 1);
    for (std::size_t i = 0; i < wanted.size() && i <= rank; ++i) {
      // Of "Train" and "train", the latter.
      const bool better = i < rank || at->path() > *best;
      if (!same_in_lower_case(name, wanted[i]) || !better || !fits(at->path())) continue;
      best = at->path();
      rank = i;
    }
  }
  return best;
}

std::optional<fs::path> split_folder(const fs::path& folder, std::string_view split) {
  constexpr std::array<std::string_view, 1> kBare = {""};
  return split_entry(folder, split, kBare, [](const fs::path& path) {
    std::error_code broken;
    return fs::is_directory(path, broken);
  });
}

std::vector<std::string> sibling_names(std::string_view file_name, std::string_view split) {
  const std::string file = lower_case(file_name);
  for (const std::string_view word : {"training", "train"}) {
    const auto at = file.rfind(word);
    if (at == std::string::npos) continue;
    std::vector<std::string> siblings;
    for (const std::string_view name : names_of_split(split)) {
      std::string other = file;
      siblings.push_back(other.replace(at, word.size(), name));
    }
    return siblings;
  }
  return {};
}

}  // namespace invp
