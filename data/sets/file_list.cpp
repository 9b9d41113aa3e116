#include "data/sets/file_list.h"

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

#include "data/sets/folder_listing.h"
#include "data/sets/text_lines.h"
#include "engine/core/error.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSeparators = ", \t";

/// Words of headers that stand over labels, in lower case.
constexpr std::array<std::string_view, 12> kLabelWords = {
    "label",      "labels",   "class",  "classes", "class_id", "classid",
    "class_name", "category", "target", "id",      "index",    "name"};

/// A line of a list; `label` is empty if it has none.
struct Entry {
  TextLine line;
  std::string path;
  std::string label;
};

/// Takes a word in double quotes, of which the text begins with the first one.
std::string take_quoted(const TextLine& line, std::string_view& text) {
  std::string word;
  for (std::size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"' && !text.substr(i + 1).starts_with('"')) {
      text.remove_prefix(i + 1);
      return word;
    }
    if (text[i] == '"') ++i;  // "" is one of them
    word += text[i];
  }
  line.fail("has a quote \" without an end");
}

std::string unquoted(const TextLine& line, std::string_view text) {
  if (!text.starts_with('"')) return std::string(text);
  std::string word = take_quoted(line, text);
  if (!text.empty()) line.fail("goes on after a quote");
  return word;
}

/// Its path and label. A path in quotes ends with them; another one at the last separator.
Entry split_line(const TextLine& line) {
  std::string_view text = line.text;
  if (text.starts_with('"')) {
    std::string path = take_quoted(line, text);
    const auto label = text.find_first_not_of(kSeparators);
    if (label == std::string_view::npos) return {line, std::move(path), ""};
    if (label == 0) line.fail("goes on after a quote");
    return {line, std::move(path), unquoted(line, text.substr(label))};
  }
  if (has_image_extension(text)) return {line, std::string(text), ""};
  // A label in quotes may hold separators.
  const auto quote = text.ends_with('"') ? text.substr(0, text.size() - 1).rfind('"') : text.npos;
  const auto separator =
      quote == text.npos || quote == 0 ? text.find_last_of(kSeparators) : quote - 1;
  const std::string_view path = separator == text.npos ? "" : trimmed(text.substr(0, separator));
  if (path.empty() || kSeparators.find(text[separator]) == kSeparators.npos ||
      separator + 1 == text.size()) {
    line.fail(
        message("is \"", text.substr(0, 80), "\"; \"PATH,LABEL\" or \"PATH LABEL\" was expected"));
  }
  return {line, std::string(path), unquoted(line, text.substr(separator + 1))};
}

bool is_number(std::string_view label) {
  return !label.empty() && label.find_first_not_of("0123456789") == std::string_view::npos;
}

bool is_header(const Entry& first, const std::vector<TextLine>& lines, const fs::path& root) {
  std::error_code broken;
  if (first.label.empty() || is_number(first.label) || fs::exists(root / first.path, broken))
    return false;
  if (std::ranges::find(kLabelWords, lower_case(first.label)) != kLabelWords.end()) return true;
  return lines.size() > 1 && is_number(split_line(lines[1]).label);
}

/// The number of each name, sorted.
std::map<std::string, std::int32_t> numbered(const std::vector<Entry>& entries) {
  std::map<std::string, std::int32_t> number;
  for (const Entry& entry : entries) number.emplace(entry.label, 0);
  std::int32_t next = 0;
  for (auto& [name, label] : number) label = next++;
  return number;
}

}  // namespace

FileList read_file_list(const fs::path& list, const fs::path& root) {
  constexpr std::int64_t kMaxLabel = 999'999;  // a class each: one line must not fill the memory
  std::vector<TextLine> lines = read_lines(list);
  std::erase_if(lines, [](const TextLine& line) { return line.text.starts_with('#'); });
  CHECK(!lines.empty(), list.string(), ": the list is empty");
  std::vector<Entry> entries;
  for (const TextLine& line : lines) {
    Entry entry = split_line(line);
    if (&line == &lines.front() && is_header(entry, lines, root)) continue;
    entries.push_back(std::move(entry));
  }
  CHECK(!entries.empty(), list.string(), ": the list is empty but for its header");
  const std::string& first = entries.front().label;
  const bool numbers = is_number(first);
  FileList files;
  const std::map<std::string, std::int32_t> number =
      numbers || first.empty() ? std::map<std::string, std::int32_t>() : numbered(entries);
  for (const Entry& entry : entries) {
    if (first.empty() != entry.label.empty())
      entry.line.fail(first.empty() ? "has a label, but the lines before it have none"
                                    : "has no label, but the lines before it have one");
    files.paths.push_back(entry.path);
    files.labels.push_back(
        numbers ? static_cast<std::int32_t>(entry.line.integer(entry.label, "label", 0, kMaxLabel))
        : first.empty() ? -1
                        : number.at(entry.label));
  }
  for (const auto& [name, label] : number) files.names.push_back(name);
  return files;
}

std::unique_ptr<Dataset> listed_files(std::string kind, const fs::path& root, FileList files,
                                      std::vector<std::string> classes, const fs::path& list) {
  CHECK(!files.paths.empty(), list.string(), ": names no image of this split");
  const fs::path first = root / files.paths.front();
  std::error_code broken;
  CHECK(fs::exists(fs::symlink_status(first, broken)), first.string(), ": no such file, but ",
        list.string(), " names it first; paths count from ", root.string(), packed_hint(root));
  FileNotes notes;
  if (classes.empty()) {
    notes.why_no_labels = message(list.string(),
                                  ": its lines have no labels; to give them some, "
                                  "write \"PATH,LABEL\"");
  }
  return std::make_unique<FileDataset>(std::move(kind), root, std::move(files.paths),
                                       std::move(files.labels), std::move(classes),
                                       std::move(notes));
}

std::unique_ptr<Dataset> open_file_list(const fs::path& list, const fs::path& root) {
  FileList files = read_file_list(list, root);
  const std::int32_t last = *std::ranges::max_element(files.labels);
  std::vector<std::string> classes = files.names.empty() ? numbered_classes(last + 1) : files.names;
  return listed_files("list", root, std::move(files), std::move(classes), list);
}

}  // namespace invp
