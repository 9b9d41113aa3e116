// From the bytes of a file to RGB pixels. The format is found by content, not by the file's name:
// - JPEG: libjpeg-turbo (accurate integer IDCT, triangle chroma upsampling)
// - PNG: libpng; WebP (of an animation the first frame): libwebp; TIFF (first picture): libtiff
// - BMP, GIF (first frame), TGA, and PBM, PGM and PPM, plain and raw: ours
// - Others that are known (HEIC, AVIF, JPEG 2000, raw, ...) are refused with a message that names
//   them.
//
// Color, as in Pillow:
// - Gray is replicated; palettes are looked up.
// - Alpha is dropped without compositing; gamma and color profiles are ignored.
// - 16-bit color of a PNG or TIFF keeps its high byte; 16-bit gray is divided by 257 and rounded.
// - PNM samples are scaled from their largest value to 255 and rounded.
// - CMYK and YCCK JPEGs are taken in Adobe's polarity.
// - What lies outside of a GIF's first frame has its transparent color, or else color 0.
// - A TIFF is turned upright by its orientation tag.
//
// Every failure throws Error with one line that names the file and says what is wrong with it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/images/image.h"
#include "engine/core/error.h"

namespace invp {

enum class ImageFormat { kJpeg, kPng, kBmp, kGif, kPnm, kTga, kWebp, kTiff };
const char* to_string(ImageFormat format);

/// A picture that may be whole, but is of a kind that is not read, or larger than allowed.
class UnsupportedPicture : public Error {
 public:
  using Error::Error;
};

/// What DecodeOptions allow where nothing else is said; --max-pixels sets it before any decoding.
std::int64_t default_max_pixels();
void set_default_max_pixels(std::int64_t pixels);

struct DecodeOptions {
  /// Larger images are refused by their header, before any allocation.
  std::int64_t max_pixels = default_max_pixels();
  /// Turns the image upright by the EXIF tag of a JPEG, PNG or WebP. The classification pipelines
  /// of PyTorch do not; detection does.
  bool apply_orientation = false;
  /// Decodes a JPEG at 1/1, 1/2, 1/4 or 1/8 of its size inside the inverse DCT. Faster than
  /// decoding and resizing; the pixels differ from that.
  int scale_denominator = 1;
  /// Fills the missing rows of a truncated JPEG with gray instead of refusing the file.
  bool allow_truncated = false;
};

/// What the header says. `width` and `height` are those of the stored image, before any orientation
/// that `apply_orientation` asks for.
struct ImageInfo {
  ImageFormat format = ImageFormat::kJpeg;
  int width = 0, height = 0;
  /// Of the stored image: 1 gray, 2 gray + alpha, 3 RGB or palette, 4 RGB + alpha or CMYK.
  int channels = 0;
  /// A JPEG that every decoder reads: baseline, in luma and chroma, chroma at full or half
  /// resolution, no data after its end.
  bool plain_jpeg = false;
};

/// Reads only the header. Throws what decode_image would throw because of the header.
ImageInfo read_image_info(std::span<const std::uint8_t> bytes, const std::string& name,
                          const DecodeOptions& options = {});

/// The whole image. `name` appears in errors.
Image decode_image(std::span<const std::uint8_t> bytes, const std::string& name,
                   const DecodeOptions& options = {});

/// The pixels of `region`, the same as decode_image followed by a crop. Reuses the storage of
/// `out`. Rows of a JPEG or PNG below the region are not decoded, so damage there goes unnoticed; a
/// JPEG that is cut short is refused whichever rows the region needs. If `scale_denominator` is not
/// 1, the region is in coordinates of the scaled image. Of a progressive JPEG that lacks scans,
/// which libjpeg smooths, pixels may differ. Throws Error for `apply_orientation`.
void decode_region(std::span<const std::uint8_t> bytes, const std::string& name, const Box& region,
                   Image& out, const DecodeOptions& options = {});

/// Size of a JPEG's side when decoded at 1/denominator.
int scaled_side(int side, int denominator);

/// The whole file. Throws Error with the path and the reason.
std::vector<std::uint8_t> read_file_bytes(const std::filesystem::path& path);

/// read_file_bytes, then decode_image named by the path.
Image load_image(const std::filesystem::path& path, const DecodeOptions& options = {});

/// The version of the library that decodes JPEGs: "2.1.5".
std::string jpeg_library_version();

}  // namespace invp
