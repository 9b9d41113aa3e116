// One decoder per file format, for decode.cpp alone, which picks by content. Each checks the header
// against `options.max_pixels` before it allocates. Errors are thrown by refuse().
#pragma once

#include <span>
#include <string>

#include "data/images/decode.h"
#include "engine/core/error.h"

namespace invp::decoders {

using Bytes = std::span<const std::uint8_t>;

/// The file is broken.
[[noreturn]] inline void refuse(const std::string& name, const std::string& reason) {
  fail("[decode] ", name, ": ", reason);
}
[[noreturn]] inline void refuse_cut(const std::string& name, ImageFormat format) {
  refuse(name, message(to_string(format), ": the file is cut short"));
}
/// The file may be whole, but "WHAT is not supported: convert ...".
[[noreturn]] void refuse_unsupported(const std::string& name, const std::string& what);

/// Refuses sizes that are not positive or hold more pixels than allowed.
void check_size(const std::string& name, std::int64_t width, std::int64_t height,
                const DecodeOptions& options);

/// Refuses a picture that takes over 12 MB and has less than a byte in the file per 4096 pixels: no
/// photograph is as empty, and a few bytes must not take much memory.
void check_filled(const std::string& name, std::int64_t width, std::int64_t height,
                  std::size_t file_bytes);

/// Refuses a region that does not lie inside a width x height picture.
void check_region(const std::string& name, const Box& region, int width, int height);

/// The format by content. Refuses, by name, files of other formats and files that are no pictures.
ImageFormat recognize(Bytes bytes, const std::string& name);
/// Is there a header of a TGA whose parts fit each other? Version 1 has nothing else to tell by.
bool is_tga(Bytes bytes);

using Info = ImageInfo(Bytes bytes, const std::string& name, const DecodeOptions& options);
Info jpeg_info, png_info, bmp_info, gif_info, pnm_info, tga_info, webp_info, tiff_info;

/// A null region means the whole image. Returns the EXIF orientation of the file, 1 to 8: 1 without
/// `options.apply_orientation`.
using DecodeRegion = int(Bytes bytes, const std::string& name, const Box* region, Image& out,
                         const DecodeOptions& options);
DecodeRegion decode_jpeg, decode_png;
/// The whole image. Returns the orientation as above.
using DecodeTurned = int(Bytes bytes, const std::string& name, Image& out,
                         const DecodeOptions& options);
DecodeTurned decode_webp;
/// The whole image, upright.
using DecodeWhole = void(Bytes bytes, const std::string& name, Image& out,
                         const DecodeOptions& options);
DecodeWhole decode_bmp, decode_gif, decode_pnm, decode_tga, decode_tiff;

/// RGB of C, M, Y and K, 0 to 255, as Pillow converts them.
void ink_to_rgb(int c, int m, int y, int k, std::uint8_t* rgb);

/// The orientation, 1 to 8, in a block of EXIF data that begins with its byte order; 1 (upright) if
/// there is none or the block is broken.
int exif_orientation(Bytes tiff);
/// A block of EXIF data without the mark "Exif" that some formats set before it.
Bytes without_exif_mark(Bytes block);

/// The image turned upright from orientation 1 to 8.
Image oriented(Image image, int orientation);

}  // namespace invp::decoders
