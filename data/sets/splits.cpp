#include "data/sets/splits.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "data/sets/subset.h"
#include "engine/core/error.h"

namespace invp {
namespace {

/// "a", "b", "c" and 7 others
std::string shown(const std::vector<std::string>& names) {
  constexpr std::size_t kMost = 5;
  std::string text;
  for (std::size_t i = 0; i < std::min(names.size(), kMost); ++i)
    text += message(i == 0 ? "" : ", ", '"', names[i], '"');
  return names.size() > kMost ? message(text, " and ", names.size() - kMost, " others") : text;
}

/// The names in `some` that are not in `others`.
std::vector<std::string> missing(const std::vector<std::string>& some,
                                 const std::vector<std::string>& others) {
  const std::set<std::string_view> known(others.begin(), others.end());
  std::vector<std::string> found;
  for (const std::string& name : some) {
    if (!known.contains(name)) found.push_back(name);
  }
  return found;
}

[[noreturn]] void fail_unmatched(const Dataset& train, const Dataset& set,
                                 const std::vector<std::string>& unknown,
                                 const std::vector<std::string>& used) {
  const std::vector<std::string> lacking = missing(train.classes(), used);
  fail(set.name(0), ": classes are matched by name, and this split has ", unknown.size(), " of ",
       used.size(), " that the training split (", train.name(0), ") lacks: ", shown(unknown), "; ",
       lacking.empty() ? std::string("it has all others of the training split")
                       : message("of the training split's ", train.classes().size(), " it lacks ",
                                 lacking.size(), ": ", shown(lacking)),
       "; give both the same class names");
}

bool is_there(const DataSource& source, std::string_view split) {
  const std::vector<std::string> splits = dataset_splits(source);
  return std::ranges::find(splits, split) != splits.end();
}

std::unique_ptr<Dataset> with_labels(std::unique_ptr<Dataset> set) {
  CHECK(set->has_labels(), set->why_no_labels());
  return set;
}

}  // namespace

std::unique_ptr<Dataset> numbered_as(const Dataset& train, std::unique_ptr<Dataset> set) {
  if (!train.has_labels() || !set->has_labels() || set->classes() == train.classes()) return set;
  if (!set->presences(0).empty())
    fail_unmatched(train, *set, missing(set->classes(), train.classes()), set->classes());
  std::map<std::string, std::int32_t, std::less<>> number;
  for (std::size_t c = 0; c < train.classes().size(); ++c)
    number.emplace(train.classes()[c], static_cast<std::int32_t>(c));
  std::vector<bool> has_images(set->classes().size());
  for (std::int64_t i = 0; i < set->size(); ++i)
    has_images[static_cast<std::size_t>(set->label(i))] = true;
  std::vector<std::string> used;
  for (std::size_t c = 0; c < has_images.size(); ++c) {
    if (has_images[c]) used.push_back(set->classes()[c]);
  }
  const std::vector<std::string> unknown = missing(used, train.classes());
  if (!unknown.empty()) fail_unmatched(train, *set, unknown, used);
  std::vector<std::int32_t> labels;
  labels.reserve(static_cast<std::size_t>(set->size()));
  for (std::int64_t i = 0; i < set->size(); ++i)
    labels.push_back(number.at(set->classes()[static_cast<std::size_t>(set->label(i))]));
  return relabeled(std::move(set), std::move(labels), train.classes());
}

std::unique_ptr<Dataset> open_split(const DataSource& given, std::string_view split) {
  const DataSource source = resolve_source(given);
  auto set = open_dataset(source, split);
  if (split == "train" || !set->has_labels() || !is_there(source, "train")) return set;
  return numbered_as(*open_dataset(source, "train"), std::move(set));
}

std::unique_ptr<Dataset> open_validation(const DataSource& given, const Dataset& train) {
  const DataSource source = resolve_source(given);
  for (const char* split : {"val", "test"}) {
    if (is_there(source, split)) return numbered_as(train, open_dataset(source, split));
  }
  return nullptr;
}

std::unique_ptr<Dataset> open_labeled_train(const DataSource& source) {
  return with_labels(open_dataset(source, "train"));
}

std::unique_ptr<Dataset> open_labeled_validation(const DataSource& source, const Dataset& train) {
  auto set = open_validation(source, train);
  // Opening it says what is missing where.
  if (set == nullptr) set = numbered_as(train, open_dataset(source, "val"));
  return with_labels(std::move(set));
}

}  // namespace invp
