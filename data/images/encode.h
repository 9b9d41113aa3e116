// From RGB pixels to the bytes of a file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/images/image.h"

namespace invp {

/// The resolution of a JPEG's color: k420 halves it in both directions (the usual form), k422 and
/// k440 in one, k411 quarters it in width, k444 keeps it. kGray stores luma alone.
enum class Subsampling { k444, k422, k440, k420, k411, kGray };

struct JpegOptions {
  int quality = 90;  // 1..100
  Subsampling subsampling = Subsampling::k420;
  bool progressive = false;
};

/// Throws Error for an empty image, a side above 65,500, or a quality out of range.
std::vector<std::uint8_t> encode_jpeg(ImageView image, const JpegOptions& options = {});

/// 8-bit RGB PNG.
std::vector<std::uint8_t> encode_png(ImageView image);

}  // namespace invp
