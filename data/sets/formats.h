// The table of formats that open_dataset.h knows.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/open_dataset.h"

namespace invp {

struct DatasetFormat {
  std::string_view name;
  /// Can a folder of one class look like a set of this format?
  bool general;
  /// Does the folder hold a set of this format? Null for one that `auto` does not look for.
  bool (*found)(const DatasetFormat& self, const std::filesystem::path& folder);
  /// The splits that are there.
  std::vector<std::string> (*splits)(const DatasetFormat& self, const DataSource& source);
  /// Throws Error for a split that is not there.
  std::unique_ptr<Dataset> (*open)(const DatasetFormat& self, const DataSource& source,
                                   std::string_view split);
};

/// In the order in which `auto` looks for them.
std::span<const DatasetFormat> format_table();

}  // namespace invp
