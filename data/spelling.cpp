#include "data/spelling.h"

#include <algorithm>
#include <numeric>
#include <vector>

namespace invp {
namespace {

/// Levenshtein's distance, one row of its table at a time.
std::size_t edits(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 0; i < a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i + 1;
    for (std::size_t j = 0; j < b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i] == b[j] ? 0 : 1);
      diagonal = row[j + 1];
      row[j + 1] = std::min({replaced, row[j] + 1, diagonal + 1});
    }
  }
  return row.back();
}

}  // namespace

std::string nearest_name(std::string_view given, std::span<const std::string_view> names) {
  return std::string(*std::ranges::min_element(
      names, {}, [&](std::string_view name) { return edits(given, name); }));
}

std::string listed(std::span<const std::string_view> names) {
  std::string text;
  for (const std::string_view name : names) (text += text.empty() ? "" : ", ") += name;
  return text;
}

}  // namespace invp
