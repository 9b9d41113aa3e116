#include "data/sets/folder_listing.h"

#include <algorithm>
#include <cctype>
#include <system_error>
#include <utility>

#include "engine/core/error.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

namespace fs = std::filesystem;

/// In lower case: the systems that leave them do not tell the cases apart. Names that begin with a
/// point (.DS_Store, ._1.jpg, .ipynb_checkpoints, .thumbnails) need no entry.
constexpr std::array<std::string_view, 12> kClutter = {"__macosx",
                                                       "thumbs.db",
                                                       "ehthumbs.db",
                                                       "desktop.ini",
                                                       "$recycle.bin",
                                                       "lost+found",
                                                       "system volume information",
                                                       "@eadir",
                                                       "@recycle",
                                                       "#recycle",
                                                       "#snapshot",
                                                       "__pycache__"};

constexpr std::array<std::string_view, 9> kImageExtensions = {
    ".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp"};

struct Reason {
  const char* one;
  const char* several;
};
/// In the order of LeftOut::Why.
constexpr std::array kReasons = {
    Reason{"hidden or system entry", "hidden or system entries"},
    Reason{"file without the ending of a picture", "files without the ending of a picture"},
    Reason{"folder without pictures", "folders without pictures"},
    Reason{"link to a folder above it", "links to a folder above them"},
    Reason{"folder beside the splits", "folders beside the splits"}};

struct Unpacker {
  std::string_view ending;
  const char* command;
  const char* into;  ///< before the folder
};
constexpr std::array kUnpackers = {
    Unpacker{".tar", "tar -xf ", " -C "},     Unpacker{".tar.gz", "tar -xf ", " -C "},
    Unpacker{".tgz", "tar -xf ", " -C "},     Unpacker{".tar.bz2", "tar -xf ", " -C "},
    Unpacker{".tbz2", "tar -xf ", " -C "},    Unpacker{".tar.xz", "tar -xf ", " -C "},
    Unpacker{".tar.zst", "tar -xf ", " -C "}, Unpacker{".zip", "unzip ", " -d "},
    Unpacker{".7z", "7z x ", " -o"},          Unpacker{".rar", "unrar x ", " "}};

std::string in_quotes(const fs::path& path) {
  return '\'' + path.string() + '\'';
}

/// The archives in the folder itself, sorted.
std::vector<fs::path> archives_in(const fs::path& folder) {
  std::vector<fs::path> found;
  std::error_code error;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    if (!is_clutter(at->path().filename().string()) && !unpack_command(at->path()).empty())
      found.push_back(at->path());
  }
  std::ranges::sort(found);
  return found;
}

}  // namespace

void LeftOut::add(Why why, const std::string& name) {
  Count& count = counts_.at(why);
  if (count.entries++ == 0) count.first = name;
}

void LeftOut::add(const LeftOut& other) {
  for (std::size_t why = 0; why < counts_.size(); ++why) {
    if (counts_[why].entries == 0) counts_[why].first = other.counts_[why].first;
    counts_[why].entries += other.counts_[why].entries;
  }
}

std::string LeftOut::text() const {
  std::string text;
  for (std::size_t why = 0; why < counts_.size(); ++why) {
    const auto& [entries, first] = counts_[why];
    if (entries == 0) continue;
    text += message(text.empty() ? "" : ", ", entries, ' ',
                    entries == 1 ? kReasons[why].one : kReasons[why].several, " (", first,
                    entries == 1 ? ")" : ", ...)");
  }
  return text;
}

FolderListing list_folder(const fs::path& folder, LeftOut& left_out) {
  FolderListing listing;
  std::error_code error;
  fs::directory_iterator at(folder, error);
  for (const fs::directory_iterator end; !error && at != end; at.increment(error)) {
    std::error_code broken_link;
    std::string name = at->path().filename().string();
    if (is_clutter(name)) {
      left_out.add(LeftOut::kClutter, name);
    } else if (at->is_directory(broken_link)) {
      listing.folders.push_back(std::move(name));
    } else if (has_image_extension(name)) {
      listing.images.push_back(std::move(name));
    } else {
      left_out.add(LeftOut::kOtherFile, name);
    }
  }
  if (error) {
    const std::string text =
        message(folder.string(), ": cannot be listed (", error.message(), "); ");
    const std::string advice = system_fault(error.value());
    if (!advice.empty()) throw SystemError(text + advice);
    fail(text, "check the path");
  }
  std::ranges::sort(listing.folders);
  std::ranges::sort(listing.images);
  return listing;
}

FolderListing list_folder(const fs::path& folder) {
  LeftOut untold;
  return list_folder(folder, untold);
}

bool is_clutter(std::string_view name) {
  return name.starts_with('.') ||
         std::ranges::any_of(kClutter, [&](auto known) { return same_in_lower_case(name, known); });
}

bool has_image_extension(std::string_view name) {
  const auto point = name.rfind('.');
  if (point == std::string_view::npos || point == 0) return false;
  const std::string_view ending = name.substr(point);
  return std::ranges::any_of(kImageExtensions,
                             [&](auto known) { return same_in_lower_case(ending, known); });
}

bool same_in_lower_case(std::string_view name, std::string_view lower) {
  return name.size() == lower.size() &&
         std::ranges::equal(name, lower, [](unsigned char c, char other) {
           return static_cast<char>(std::tolower(c)) == other;
         });
}

std::string lower_case(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

std::string packed_hint(const fs::path& folder) {
  std::vector<fs::path> found = archives_in(folder);
  if (found.empty() && fs::is_directory(folder)) {
    for (const std::string& inner : list_folder(folder).folders) {
      found = archives_in(folder / inner);
      if (!found.empty()) break;
    }
  }
  if (found.empty()) return "";
  const std::string others =
      found.size() > 1 ? message(" (and so are ", found.size() - 1, " others)") : "";
  return message("; ", found.front().filename().string(), " is still packed", others,
                 ", unpack it: ", unpack_command(found.front()));
}

std::string unpack_command(const fs::path& file) {
  const std::string name = lower_case(file.filename().string());
  for (const Unpacker& unpacker : kUnpackers) {
    if (name.size() > unpacker.ending.size() && name.ends_with(unpacker.ending)) {
      const fs::path folder = file.has_parent_path() ? file.parent_path() : fs::path(".");
      return unpacker.command + in_quotes(file) + unpacker.into + in_quotes(folder);
    }
  }
  return "";
}

}  // namespace invp
