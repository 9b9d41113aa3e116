// What of other people is in this program: linked, or compiled in.
#pragma once

#include <string>
#include <vector>

namespace invp::cli {

struct License {
  std::string library;
  std::string license;  ///< by its SPDX name
  std::string holder;
  std::string form;     ///< "linked", "compiled in"
  std::string package;  ///< of Debian: /usr/share/doc/PACKAGE/copyright has the text
};

/// Of the libraries of this build, docs/dependencies.md says why they were chosen.
std::vector<License> licenses();

}  // namespace invp::cli
