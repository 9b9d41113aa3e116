#include "data/sets/file_list.h"

#include <algorithm>
#include <charconv>
#include <string_view>
#include <utility>

#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

constexpr std::int32_t kMaxLabel = 9'999'999;
constexpr std::string_view kSeparators = ", \t";

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) + 1 - first);
}

}  // namespace

FileList read_file_list(const std::filesystem::path& list, const std::filesystem::path& root) {
  const std::string text = read_text_file(list);
  FileList result;
  std::int64_t number = 0;
  for (std::string_view rest = text; !rest.empty();) {
    const auto end = std::min(rest.find('\n'), rest.size());
    const std::string_view line = trimmed(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    ++number;
    if (line.empty()) continue;
    const auto separator = line.find_last_of(kSeparators);
    const std::string_view path =
        separator == std::string_view::npos ? "" : trimmed(line.substr(0, separator));
    const std::string_view digits = line.substr(separator + 1);
    std::int32_t label = -1;
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), label);
    if (path.empty() || error != std::errc() || stop != digits.data() + digits.size() ||
        label < 0 || label > kMaxLabel) {
      fail(list.string(), ": line ", number, " is \"", line.substr(0, 80),
           "\"; \"PATH,LABEL\" or \"PATH LABEL\" with a label from 0 was expected");
    }
    result.paths.emplace_back(path);
    result.labels.push_back(label);
  }
  CHECK(!result.paths.empty(), list.string(), ": the list is empty");
  const std::filesystem::path first = root / result.paths[0];
  CHECK(std::filesystem::exists(first), first.string(), ": no such file, but ", list.string(),
        " names it first; paths count from ", root.string());
  return result;
}

std::unique_ptr<Dataset> open_file_list(const std::filesystem::path& list,
                                        const std::filesystem::path& root) {
  FileList files = read_file_list(list, root);
  const std::int32_t last = *std::ranges::max_element(files.labels);
  return std::make_unique<FileDataset>("list", root, std::move(files.paths),
                                       std::move(files.labels), numbered_classes(last + 1));
}

}  // namespace invp
