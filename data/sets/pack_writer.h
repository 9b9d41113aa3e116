// Writing packs (pack_format.h): a split, decoded once and checked, in the form that training reads
// fastest.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

struct PackOptions {
  bool raw = false;   ///< pixels instead of JPEG
  int shorter = 288;  ///< pictures of a longer shorter side are shrunk to it (transform.h: resize);
                      ///< none is enlarged. 0: every picture keeps its size
  int quality = 90;   ///< of the JPEGs that are encoded anew: what was shrunk, and what was no JPEG
  double max_bad_share = 0.01;  ///< of the split, as the loader has it
  std::filesystem::path root;   ///< names of pictures below it are stored relative to it
};

struct PackReport {
  std::int64_t images = 0;
  std::int64_t copied = 0;         ///< JPEG files taken byte for byte
  std::int64_t shrunk = 0;         ///< pictures
  std::int64_t bytes = 0;          ///< of the pack
  std::vector<BadImage> left_out;  ///< in the order of the split
};

/// Writes the split to `file`, which holds what it held before until the pack is whole. All threads
/// decode (parallel.h); the bytes do not depend on their number. Pictures that cannot be decoded
/// are left out; throws Error once they are more than the share allows, and when none is left.
PackReport write_pack(const Dataset& dataset, const std::filesystem::path& file,
                      const PackOptions& options,
                      const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace invp
