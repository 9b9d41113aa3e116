#include "data/sets/file_list.h"

#include <algorithm>
#include <utility>

#include "data/sets/text_lines.h"
#include "engine/core/error.h"

namespace invp {

FileList read_file_list(const std::filesystem::path& list) {
  constexpr std::int64_t kMaxLabel = 9'999'999;
  FileList files;
  for (const TextLine& line : read_lines(list)) {
    const auto separator = line.text.find_last_of(", \t");
    const std::string_view path =
        separator == std::string_view::npos ? "" : trimmed(line.text.substr(0, separator));
    if (path.empty()) {
      line.fail(message("is \"", line.text.substr(0, 80),
                        "\"; \"PATH,LABEL\" or \"PATH LABEL\" was expected"));
    }
    files.paths.emplace_back(path);
    files.labels.push_back(static_cast<std::int32_t>(
        line.integer(line.text.substr(separator + 1), "label", 0, kMaxLabel)));
  }
  CHECK(!files.paths.empty(), list.string(), ": the list is empty");
  return files;
}

std::unique_ptr<Dataset> listed_files(std::string kind, const std::filesystem::path& root,
                                      FileList files, std::vector<std::string> classes,
                                      const std::filesystem::path& list) {
  CHECK(!files.paths.empty(), list.string(), ": names no image of this split");
  const std::filesystem::path first = root / files.paths.front();
  CHECK(std::filesystem::exists(first), first.string(), ": no such file, but ", list.string(),
        " names it first; paths count from ", root.string());
  return std::make_unique<FileDataset>(std::move(kind), root, std::move(files.paths),
                                       std::move(files.labels), std::move(classes));
}

std::unique_ptr<Dataset> open_file_list(const std::filesystem::path& list,
                                        const std::filesystem::path& root) {
  FileList files = read_file_list(list);
  const std::int32_t last = *std::ranges::max_element(files.labels);
  return listed_files("list", root, std::move(files), numbered_classes(last + 1), list);
}

}  // namespace invp
