#include "data/sets/subset.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "data/sets/text_lines.h"
#include "engine/core/error.h"
#include "engine/core/random.h"

namespace invp {
namespace {

class Subset final : public Dataset {
 public:
  Subset(const std::shared_ptr<const Dataset>& set, const std::vector<std::int64_t>& indices)
      : Subset(set, labels_of(*set, indices), set->classes(), indices) {}
  /// `labels` are those of the images at `indices`.
  Subset(const std::shared_ptr<const Dataset>& set, std::vector<std::int32_t> labels,
         std::vector<std::string> classes, std::vector<std::int64_t> indices)
      : Dataset(set->kind(), std::move(labels), std::move(classes)),
        set_(set),
        indices_(std::move(indices)) {}

  std::string name(std::int64_t index) const override { return set_->name(at(index)); }
  void fetch(std::int64_t index, Sample& sample) const override { set_->fetch(at(index), sample); }
  void check(std::int64_t index) const override { set_->check(at(index)); }
  const std::string& origin() const override { return set_->origin(); }
  std::span<const Presence> presences(std::int64_t index) const override {
    return set_->presences(at(index));
  }
  std::string storage() const override { return set_->storage(); }
  std::string left_out() const override { return set_->left_out(); }
  std::string why_no_labels() const override { return set_->why_no_labels(); }

 protected:
  /// The base's identity and which of its images were chosen.
  void add_content(Hash& hash) const override {
    hash.add_text(set_->identity());
    for (const std::int64_t index : indices_) hash.add(static_cast<std::uint64_t>(index));
  }

 private:
  static std::vector<std::int32_t> labels_of(const Dataset& set,
                                             const std::vector<std::int64_t>& indices) {
    std::vector<std::int32_t> labels;
    for (const std::int64_t index : indices) {
      CHECK(index >= 0 && index < set.size(), "[subset] image ", index, " of a set of ",
            set.size());
      labels.push_back(static_cast<std::int32_t>(set.label(index)));
    }
    return labels;
  }
  std::int64_t at(std::int64_t index) const { return indices_[place(index)]; }

  std::shared_ptr<const Dataset> set_;
  std::vector<std::int64_t> indices_;
};

std::string_view last_part(std::string_view path) {
  return path.substr(path.find_last_of('/') + 1);
}

/// From the folder of the class on, or the file's name alone.
std::string list_name(const std::string& path, const std::string& class_name) {
  const std::string inner = "/" + class_name + "/";
  const auto at = path.rfind(inner);
  return at == std::string::npos ? std::string(last_part(path)) : path.substr(at + 1);
}

/// Is `end` the whole path, or the part after one of its slashes?
bool ends_in(std::string_view path, std::string_view end) {
  return path.ends_with(end) &&
         (path.size() == end.size() || path[path.size() - end.size() - 1] == '/');
}

}  // namespace

std::unique_ptr<Dataset> subset(const Dataset& set, std::vector<std::int64_t> indices) {
  // Not owned: the set lives longer.
  return subset(std::shared_ptr<const Dataset>(std::shared_ptr<void>(), &set), std::move(indices));
}

std::unique_ptr<Dataset> subset(std::shared_ptr<const Dataset> set,
                                std::vector<std::int64_t> indices) {
  return std::make_unique<Subset>(set, indices);
}

std::unique_ptr<Dataset> relabeled(std::shared_ptr<const Dataset> set,
                                   std::vector<std::int32_t> labels,
                                   std::vector<std::string> classes) {
  CHECK(set->presences(0).empty(), "[relabeled] a set with several labels per image");
  std::vector<std::int64_t> every(static_cast<std::size_t>(set->size()));
  std::iota(every.begin(), every.end(), 0);
  return std::make_unique<Subset>(set, std::move(labels), std::move(classes), std::move(every));
}

std::vector<std::int64_t> draw_per_class(const Dataset& set, double fraction, std::uint64_t seed) {
  CHECK(fraction > 0 && fraction <= 1, "[subset] a share of ", fraction,
        " of the labels: above 0 and at most 1 was expected");
  CHECK(set.has_labels(), set.why_no_labels());
  // In doubles 0.07 * 100 is 7.000000000000001, whose ceiling is not the 7 that is meant.
  constexpr double kRounding = 1e-9;
  return draw_per_class(set, seed, [fraction](std::int64_t count) {
    return static_cast<std::int64_t>(
        std::ceil(fraction * static_cast<double>(count) * (1 - kRounding)));
  });
}

std::vector<std::int64_t> draw_per_class(const Dataset& set, std::uint64_t seed,
                                         const std::function<std::int64_t(std::int64_t)>& wanted) {
  std::map<std::int64_t, std::vector<std::int64_t>> of_class;
  for (std::int64_t i = 0; i < set.size(); ++i) of_class[set.label(i)].push_back(i);
  std::vector<std::int64_t> drawn;
  for (auto& [label, members] : of_class) {
    Random random(seed, Purpose::kSplit, 0, static_cast<std::uint64_t>(label));
    random.shuffle(std::span(members));
    const std::int64_t count = std::min(wanted(std::ssize(members)), std::ssize(members));
    drawn.insert(drawn.end(), members.begin(), members.begin() + count);
  }
  std::ranges::sort(drawn);
  return drawn;
}

std::string subset_list(const Dataset& set, const std::vector<std::int64_t>& indices) {
  std::string text;
  for (const std::int64_t index : indices) {
    const std::string& name = set.classes()[static_cast<std::size_t>(set.label(index))];
    text += list_name(set.name(index), name) + ',' + name + '\n';
  }
  return text;
}

std::vector<std::int64_t> read_subset_list(const std::filesystem::path& list, const Dataset& set) {
  std::unordered_multimap<std::string, std::int64_t> by_file;
  for (std::int64_t i = 0; i < set.size(); ++i)
    by_file.emplace(std::string(last_part(set.name(i))), i);
  std::vector<bool> taken(static_cast<std::size_t>(set.size()));
  std::vector<std::int64_t> indices;
  for (const TextLine& line : read_lines(list)) {
    const auto comma = line.text.find(',');
    const std::string_view path = trimmed(line.text.substr(0, comma));
    std::vector<std::int64_t> fitting;
    const auto [begin, end] = by_file.equal_range(std::string(last_part(path)));
    for (auto at = begin; at != end; ++at) {
      if (ends_in(set.name(at->second), path)) fitting.push_back(at->second);
    }
    if (fitting.empty()) line.fail(message("names \"", path, "\", which the set does not have"));
    if (fitting.size() > 1) {
      line.fail(message("names \"", path, "\", which ", fitting.size(),
                        " pictures are called; put the folder of the class before it"));
    }
    const std::string& class_name =
        set.classes()[static_cast<std::size_t>(set.label(fitting.front()))];
    if (comma != std::string::npos && trimmed(line.text.substr(comma + 1)) != class_name) {
      line.fail(message("says class \"", trimmed(line.text.substr(comma + 1)),
                        "\", but in the set it is \"", class_name, '"'));
    }
    if (taken[static_cast<std::size_t>(fitting.front())])
      line.fail(message("names \"", path, "\" for the second time"));
    taken[static_cast<std::size_t>(fitting.front())] = true;
    indices.push_back(fitting.front());
  }
  CHECK(!indices.empty(), list.string(), ": the list is empty");
  return indices;
}

}  // namespace invp
