// Which program this is.
#pragma once

#include <string>

namespace invp::cli {

struct BuildFacts {
  std::string commit;    ///< "0123456789ab", "0123456789ab with changes", or "unknown"
  std::string compiler;  ///< "GCC 12.2.0"
  std::string type;      ///< "Release"
  std::string flags;
};

BuildFacts build_facts();
/// "0.1.0".
std::string version();
/// "invp 0.1.0 (commit 0123456789ab, Release, GCC 12.2.0)".
std::string version_line();

}  // namespace invp::cli
