// One decoder per file format, for decode.cpp alone, which picks by content. Each checks the header
// against `options.max_pixels` before it allocates. Errors are thrown by refuse().
#pragma once

#include <span>
#include <string>

#include "data/images/decode.h"
#include "engine/core/error.h"

namespace invp::decoders {

using Bytes = std::span<const std::uint8_t>;

[[noreturn]] inline void refuse(const std::string& name, const std::string& reason) {
  fail("[decode] ", name, ": ", reason);
}

/// Refuses sizes that are not positive or hold more pixels than allowed.
void check_size(const std::string& name, std::int64_t width, std::int64_t height,
                const DecodeOptions& options);

/// Refuses a region that does not lie inside a width x height picture.
void check_region(const std::string& name, const Box& region, int width, int height);

ImageInfo jpeg_info(Bytes bytes, const std::string& name, const DecodeOptions& options);
ImageInfo png_info(Bytes bytes, const std::string& name, const DecodeOptions& options);
ImageInfo pnm_info(Bytes bytes, const std::string& name, const DecodeOptions& options);
ImageInfo other_info(Bytes bytes, const std::string& name, ImageFormat format,
                     const DecodeOptions& options);

/// A null region means the whole image. Returns the EXIF orientation of the file, 1 to 8: 1 without
/// `options.apply_orientation`.
int decode_jpeg(Bytes bytes, const std::string& name, const Box* region, Image& out,
                const DecodeOptions& options);
int decode_png(Bytes bytes, const std::string& name, const Box* region, Image& out,
               const DecodeOptions& options);
void decode_pnm(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options);
void decode_other(Bytes bytes, const std::string& name, ImageFormat format, Image& out,
                  const DecodeOptions& options);

/// The orientation, 1 to 8, in a block of EXIF data that begins with its byte order; 1 (upright) if
/// there is none or the block is broken.
int exif_orientation(Bytes tiff);

/// The image turned upright from orientation 1 to 8.
Image oriented(Image image, int orientation);

}  // namespace invp::decoders
