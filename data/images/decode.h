// From the bytes of a file to RGB pixels. The format is found by content, never by the file's name.
// JPEG: libjpeg-turbo (accurate integer IDCT, triangle chroma upsampling); PNG: libpng; BMP, GIF
// (first frame) and TGA: stb_image; PBM, PGM and PPM, plain and raw: ours. WebP and TIFF are
// refused by name.
//
// Color: gray is replicated; palettes are looked up; alpha is dropped without compositing; gamma
// and color profiles are ignored; 16-bit color of a PNG keeps its high byte, 16-bit gray is
// divided by 257 and rounded; PNM samples are scaled from their largest value to 255 and rounded;
// CMYK and YCCK JPEGs are taken in Adobe's polarity (as Pillow).
//
// Every failure throws invp::Error with one line that names the file and says what is wrong with
// it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "data/images/image.h"

namespace invp {

enum class ImageFormat { kJpeg, kPng, kBmp, kGif, kPnm, kTga };
const char* to_string(ImageFormat format);

struct DecodeOptions {
  /// Larger pictures are refused from their header, before any allocation.
  std::int64_t max_pixels = 100'000'000;
  /// Turns the picture as its EXIF tag says (the classification pipelines do not, detection does).
  bool apply_orientation = false;
  /// Decodes a JPEG at 1/1, 1/2, 1/4 or 1/8 of its size inside the inverse DCT: faster, other
  /// pixels.
  int scale_denominator = 1;
  /// Fills what a cut JPEG lacks with gray instead of refusing the file.
  bool allow_truncated = false;
};

/// What the header says. `width` and `height` are those of the stored picture, before orientation.
struct ImageInfo {
  ImageFormat format = ImageFormat::kJpeg;
  int width = 0, height = 0;
  /// Of the stored picture: 1 gray, 2 gray + alpha, 3 RGB or palette, 4 RGB + alpha or CMYK.
  int channels = 0;
  /// A JPEG as cameras write them, which every decoder takes: baseline, in luma and chroma, chroma
  /// at full or half resolution, nothing behind its end.
  bool plain_jpeg = false;
};

/// Reads only the header. Throws where decode_image would throw for the header's sake.
ImageInfo read_image_info(std::span<const std::uint8_t> bytes, const std::string& name,
                          const DecodeOptions& options = {});

/// The whole picture. `name` appears in errors.
Image decode_image(std::span<const std::uint8_t> bytes, const std::string& name,
                   const DecodeOptions& options = {});

/// The pixels of `region` alone, exactly those of decode_image followed by a crop. A JPEG's or
/// PNG's rows below the region are not read (damage there goes unnoticed), and a JPEG's pixels
/// beside it not computed. The region is in the coordinates of the scaled picture where
/// `scale_denominator` is not 1; `apply_orientation` is refused. Reuses the storage of `out`.
void decode_region(std::span<const std::uint8_t> bytes, const std::string& name, const Box& region,
                   Image& out, const DecodeOptions& options = {});

/// Size of a JPEG's side when decoded at 1/denominator.
int scaled_side(int side, int denominator);

/// Value 1..8 of the EXIF orientation tag of a JPEG or PNG; 1 (upright) when there is none or it is
/// broken.
int exif_orientation(std::span<const std::uint8_t> bytes);

/// The picture turned upright from EXIF orientation 1..8.
Image oriented(Image image, int orientation);

/// Whole file as bytes. Throws invp::Error with the path and the system's reason.
std::vector<std::uint8_t> read_file_bytes(const std::filesystem::path& path);

/// read_file_bytes, then decode_image named by the path.
Image load_image(const std::filesystem::path& path, const DecodeOptions& options = {});

}  // namespace invp
