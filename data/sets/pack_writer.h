// Writing packs (pack_format.h): each image of a split is decoded, checked and stored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

struct PackOptions {
  bool raw = false;   ///< pixels instead of JPEG
  int shorter = 288;  ///< larger images are shrunk to this shorter side (transform.h: resize); 0:
                      ///< every image keeps its size
  int quality = 90;   ///< of images that are encoded: those that were shrunk or were not JPEGs
  double max_bad_share = 0.01;  ///< of the split (BadImages)
  std::filesystem::path root;   ///< names of images below it are stored relative to it
};

struct PackReport {
  std::int64_t images = 0;
  std::int64_t copied = 0;         ///< JPEG files taken byte for byte
  std::int64_t shrunk = 0;         ///< images
  std::int64_t bytes = 0;          ///< of the pack
  std::vector<BadImage> left_out;  ///< in the order of the split
};

/// Writes the split to `file`, which keeps its content until the pack is complete. All threads
/// decode (parallel.h); the bytes do not depend on their number. Images that cannot be decoded are
/// left out. Throws Error if they are more than the share allows or no image is left.
PackReport write_pack(const Dataset& dataset, const std::filesystem::path& file,
                      const PackOptions& options,
                      const std::function<void(std::int64_t done, std::int64_t total)>& progress);

}  // namespace invp
