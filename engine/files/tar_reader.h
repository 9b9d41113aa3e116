// Where the members of a tar archive lie: POSIX and GNU headers, no compression.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/files/file_reader.h"

namespace invp {

struct TarMember {
  std::string name;
  std::uint64_t begin = 0;  ///< bytes from the start of the file
  std::uint64_t size = 0;
};

/// The ordinary files in the archive, under the names of their headers (at most 100 bytes; longer
/// ones are not put together). Throws Error where a header is damaged or the archive cut short.
std::vector<TarMember> read_tar(const FileReader& file);

}  // namespace invp
