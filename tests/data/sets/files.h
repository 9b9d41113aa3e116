// Sets of files for tests.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {

inline std::vector<std::int64_t> labels_of(const Dataset& set) {
  std::vector<std::int64_t> labels;
  for (std::int64_t i = 0; i < set.size(); ++i) labels.push_back(set.label(i));
  return labels;
}

/// Files that are no images: opening a set does not read them.
inline void write_pictures(const TempFolder& folder, const std::vector<std::string>& paths) {
  for (const std::string& path : paths) folder.write(path, "picture");
}

}  // namespace invp::testing
