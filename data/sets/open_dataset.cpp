#include "data/sets/open_dataset.h"

#include <algorithm>
#include <array>
#include <optional>

#include "data/sets/folder_listing.h"
#include "data/sets/formats.h"
#include "data/sets/pack_dataset.h"
#include "engine/core/error.h"
#include "engine/core/text.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

/// A format, and the folder or file that has it.
struct Place {
  const DatasetFormat* format = nullptr;
  fs::path path;
};

const DatasetFormat& format_named(std::string_view name) {
  for (const DatasetFormat& format : format_table()) {
    if (format.name == name) return format;
  }
  fail("[data] unknown format \"", name, "\"; known are ", joined(dataset_formats()));
}

const DatasetFormat& format_of_file(const fs::path& file) {
  if (file.extension() == ".pack" || looks_like_pack(file)) return format_named("pack");
  if (file.extension() == ".json") return format_named("coco");
  const std::string unpack = unpack_command(file);
  CHECK(unpack.empty(), file.string(), ": is an archive; unpack it and give the folder: ", unpack);
  constexpr std::array<std::string_view, 4> kLists = {".txt", ".csv", ".tsv", ".lst"};
  CHECK(std::ranges::find(kLists, lower_case(file.extension().string())) != kLists.end(),
        file.string(),
        ": a single file of unknown kind; a folder, a list (.txt, .csv) or a pack (.pack) was "
        "expected");
  return format_named("list");
}

/// Looks for one format or, if `wanted` is null, for the first of the table that fits.
const DatasetFormat* format_at(const fs::path& folder, const DatasetFormat* wanted) {
  for (const DatasetFormat& format : format_table()) {
    if ((wanted == nullptr || wanted == &format) && format.found != nullptr &&
        format.found(format, folder))
      return &format;
  }
  return nullptr;
}

/// The sets in the folders of a folder that are unmistakable there.
std::vector<Place> sets_in(const fs::path& folder, const std::vector<std::string>& inner,
                           const DatasetFormat* wanted) {
  constexpr std::size_t kMost = 64;  // more are classes
  std::vector<Place> found;
  if (inner.size() > kMost) return found;
  for (const std::string& name : inner) {
    const DatasetFormat* const format = format_at(folder / name, wanted);
    if (format != nullptr && !format->general) found.push_back({format, folder / name});
  }
  return found;
}

[[noreturn]] void fail_ambiguous(const fs::path& folder, const std::vector<Place>& sets) {
  std::string shown;
  for (const auto& [format, path] : sets) {
    shown += message(shown.empty() ? "" : ", ", path.filename().string(), " (", format->name, ')');
  }
  fail(folder.string(), ": holds several data sets: ", shown,
       "; give the folder of one of them, or --format");
}

bool all_of_one_format(const std::vector<Place>& sets) {
  return std::ranges::all_of(sets,
                             [&](const Place& set) { return set.format == sets.front().format; });
}

/// Is there a picture in the folder or not far below it?
bool holds_picture(const fs::path& folder, int depth = 0) {
  constexpr int kMaxDepth = 4;
  const FolderListing listing = list_folder(folder);
  if (!listing.images.empty()) return true;
  return depth < kMaxDepth && std::ranges::any_of(listing.folders, [&](const std::string& name) {
           return holds_picture(folder / name, depth + 1);
         });
}

/// The only folder with pictures in a folder that has none itself; nothing if there are several.
std::optional<fs::path> only_folder(const fs::path& folder, const FolderListing& listing) {
  constexpr std::size_t kMost = 8;  // more are classes
  if (!listing.images.empty() || listing.folders.size() > kMost) return std::nullopt;
  std::vector<std::string> inner = listing.folders;
  if (inner.size() > 1)
    std::erase_if(inner, [&](const std::string& name) { return !holds_picture(folder / name); });
  return inner.size() == 1 ? std::optional(folder / inner.front()) : std::nullopt;
}

/// The set in a folder, in a folder in it, or below folders with pictures in only one of their
/// folders, as downloads unpack to them. Without a format if there is none but perhaps folders of
/// classes.
Place find_set(const fs::path& folder, const DatasetFormat* wanted, int depth = 0) {
  constexpr int kMaxDepth = 4;
  const DatasetFormat* const here = format_at(folder, wanted);
  if (here != nullptr && here->general) return {here, folder};
  const FolderListing listing = list_folder(folder);
  const std::vector<Place> inner = sets_in(folder, listing.folders, wanted);
  if (!inner.empty() && !all_of_one_format(inner)) fail_ambiguous(folder, inner);
  if (here != nullptr) return {here, folder};
  if (inner.size() > 1) fail_ambiguous(folder, inner);
  if (inner.size() == 1) return inner.front();
  for (const char* images : {"ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "CLS-LOC"}) {
    if (fs::is_directory(folder / images)) return find_set(folder / images, wanted, kMaxDepth);
  }
  const auto only = depth < kMaxDepth ? only_folder(folder, listing) : std::nullopt;
  if (only) {
    const Place below = find_set(*only, wanted, depth + 1);
    if (below.format != nullptr) return below;
    // Classes are several.
    if (list_folder(below.path).images.empty() && list_folder(below.path).folders.size() > 1)
      return below;
  }
  return {nullptr, folder};
}

Place find_place(const DataSource& source) {
  const DatasetFormat* wanted = nullptr;
  if (source.format != "auto") {
    wanted = &format_named(source.format);
    if (wanted->name == "synthetic") return {wanted, source.path};
  }
  CHECK(!source.path.empty(),
        "[data] no path was given: --data PATH, or --format synthetic for drawn images");
  const fs::file_status status = fs::status(source.path);
  CHECK(fs::exists(status), source.path.string(), ": no such file or folder; check the path");
  if (fs::is_regular_file(status))
    return {wanted != nullptr ? wanted : &format_of_file(source.path), source.path};
  CHECK(fs::is_directory(status), source.path.string(),
        ": is no ordinary file (a pipe, a socket or a device) and no folder");
  Place place = find_set(source.path, wanted);
  if (place.format != nullptr) return place;
  if (wanted != nullptr && wanted->name != "imagefolder") return {wanted, source.path};
  return {&format_named("imagefolder"), place.path};
}

/// What `action` returns; the library's errors about files as ours.
template <class Action>
auto with_own_errors(const Action& action) {
  try {
    return action();
  } catch (const fs::filesystem_error& error) {
    const std::string text =
        message(error.path1().string(), ": cannot be looked at (", error.code().message(), ")");
    const std::string advice = system_fault(error.code().value());
    if (!advice.empty()) throw SystemError(message(text, "; ", advice));
    fail(text, "; check the path");
  }
}

}  // namespace

const std::vector<std::string>& dataset_formats() {
  static const std::vector<std::string> names = [] {
    std::vector<std::string> all = {"auto"};
    for (const DatasetFormat& format : format_table()) all.emplace_back(format.name);
    return all;
  }();
  return names;
}

DataSource resolve_source(const DataSource& source) {
  if (source.resolved) return source;
  return with_own_errors([&] {
    const Place place = find_place(source);
    DataSource resolved = source;
    resolved.format = place.format->name;
    resolved.path = place.path;
    resolved.resolved = true;
    return resolved;
  });
}

std::string resolve_format(const DataSource& source) {
  return resolve_source(source).format;
}

std::vector<std::string> dataset_splits(const DataSource& source) {
  const DataSource resolved = resolve_source(source);
  const DatasetFormat& format = format_named(resolved.format);
  return with_own_errors([&] { return format.splits(format, resolved); });
}

std::unique_ptr<Dataset> open_dataset(const DataSource& source, std::string_view split) {
  constexpr std::array<std::string_view, 4> kSplits = {"train", "val", "test", "extra"};
  CHECK(std::ranges::find(kSplits, split) != kSplits.end(), "[data] unknown split \"", split,
        "\"; there are train, val, test, and extra for svhn");
  const DataSource resolved = resolve_source(source);
  const DatasetFormat& format = format_named(resolved.format);
  return with_own_errors([&] { return format.open(format, resolved, split); });
}

}  // namespace invp
