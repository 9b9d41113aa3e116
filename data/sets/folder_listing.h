// What lies in a folder: its pictures and folders, without what systems and tools leave there.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

/// Entries that a data set does not take, counted by the reason.
class LeftOut {
 public:
  enum Why : std::uint8_t { kClutter, kOtherFile, kEmptyFolder, kRing, kBesideSplits };

  void add(Why why, const std::string& name);
  void add(const LeftOut& other);
  /// "2 hidden or system entries (.DS_Store, ...), 1 file that is no picture (notes.txt)"; empty if
  /// nothing was left out.
  std::string text() const;

 private:
  struct Count {
    std::int64_t entries = 0;
    std::string first;
  };
  std::array<Count, kBesideSplits + 1> counts_;
};

struct FolderListing {
  std::vector<std::string> folders;  ///< names, sorted by code point, as are those of `images`
  std::vector<std::string> images;
};

/// Adds to `left_out` what is neither. Throws Error if the folder cannot be listed.
FolderListing list_folder(const std::filesystem::path& folder, LeftOut& left_out);
FolderListing list_folder(const std::filesystem::path& folder);

/// Does a system or a tool leave entries of this name in folders (".DS_Store", "__MACOSX")? They
/// are never classes or pictures.
bool is_clutter(std::string_view name);

/// Does the name end like that of an image?
bool has_image_extension(std::string_view name);

/// Is the name `lower`, which is in lower case, in any capitalization? Quick: large folders are
/// looked through several times.
bool same_in_lower_case(std::string_view name, std::string_view lower);

/// In lower case, as far as it is ASCII.
std::string lower_case(std::string_view text);

/// For errors about a folder without pictures: "; x.tgz in it is still packed, unpack it: tar -xf
/// ...". Empty if neither the folder nor one in it holds an archive.
std::string packed_hint(const std::filesystem::path& folder);
/// The command that unpacks the file beside itself; empty if its name is not that of an archive.
std::string unpack_command(const std::filesystem::path& file);

}  // namespace invp
