#include "data/images/decode.h"

#include <cstring>
#include <string_view>

#include "data/images/decoders.h"
#include "data/images/transform.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

using decoders::Bytes;
using decoders::refuse;

bool starts_with(Bytes bytes, std::string_view magic, std::size_t offset = 0) {
  return bytes.size() >= offset + magic.size() &&
         std::memcmp(bytes.data() + offset, magic.data(), magic.size()) == 0;
}

bool ends_with(Bytes bytes, std::string_view magic) {
  return bytes.size() >= magic.size() && starts_with(bytes.last(magic.size()), magic);
}

/// "P1" to "P6", then white space or a comment: letters alone could open any text.
bool is_pnm(Bytes bytes) {
  using namespace std::string_view_literals;
  return bytes.size() > 2 && bytes[0] == 'P' && bytes[1] >= '1' && bytes[1] <= '6' &&
         " \t\n\v\f\r#"sv.find(static_cast<char>(bytes[2])) != std::string_view::npos;
}

ImageFormat find_format(Bytes bytes, const std::string& name) {
  using namespace std::string_view_literals;
  if (bytes.empty()) refuse(name, "the file is empty");
  if (starts_with(bytes, "\xff\xd8\xff"sv)) return ImageFormat::kJpeg;
  if (starts_with(bytes, "\x89PNG\r\n\x1a\n"sv)) return ImageFormat::kPng;
  if (starts_with(bytes, "GIF87a"sv) || starts_with(bytes, "GIF89a"sv)) return ImageFormat::kGif;
  if (starts_with(bytes, "BM"sv)) return ImageFormat::kBmp;
  if (is_pnm(bytes)) return ImageFormat::kPnm;
  if (ends_with(bytes, "TRUEVISION-XFILE.\0"sv)) return ImageFormat::kTga;
  const char* convert = " is not supported: convert the picture to JPEG or PNG";
  if (starts_with(bytes, "RIFF"sv) && starts_with(bytes, "WEBP"sv, 8)) {
    refuse(name, std::string("WebP") + convert);
  }
  if (starts_with(bytes, "II*\0"sv) || starts_with(bytes, "MM\0*"sv)) {
    refuse(name, std::string("TIFF") + convert);
  }
  if (starts_with(bytes, "ftyp"sv, 4)) refuse(name, std::string("HEIF/AVIF") + convert);
  if (starts_with(bytes, "<"sv)) refuse(name, "not a picture: the content looks like HTML or XML");
  refuse(name, "not a picture: the content is none of JPEG, PNG, BMP, GIF, PBM, PGM, PPM, TGA");
}

/// Returns the EXIF orientation, as the decoders do.
int decode(Bytes bytes, const std::string& name, const Box* region, Image& out,
           const DecodeOptions& options) {
  const int denominator = options.scale_denominator;
  CHECK(denominator == 1 || denominator == 2 || denominator == 4 || denominator == 8,
        "[decode] the scale denominator is 1, 2, 4 or 8, got ", denominator);
  const ImageFormat format = find_format(bytes, name);
  if (format == ImageFormat::kJpeg) return decoders::decode_jpeg(bytes, name, region, out, options);
  if (format == ImageFormat::kPng) return decoders::decode_png(bytes, name, region, out, options);
  Image whole;
  Image& target = region ? whole : out;
  if (format == ImageFormat::kPnm) {
    decoders::decode_pnm(bytes, name, target, options);
  } else {
    decoders::decode_other(bytes, name, format, target, options);
  }
  if (region) {
    decoders::check_region(name, *region, whole.width, whole.height);
    out = crop(whole, *region);
  }
  return 1;
}

}  // namespace

namespace decoders {

void check_size(const std::string& name, std::int64_t width, std::int64_t height,
                const DecodeOptions& options) {
  if (width <= 0 || height <= 0) {
    refuse(name, message("the header claims a size of ", width, " x ", height));
  }
  // Divided, not multiplied: the claims of a hostile header may overflow.
  if (width > options.max_pixels / height) {
    refuse(name, message("the header claims ", width, " x ", height, " pixels, more than the ",
                         options.max_pixels, " allowed"));
  }
}

void check_region(const std::string& name, const Box& region, int width, int height) {
  const bool inside = region.x >= 0 && region.y >= 0 && region.width > 0 && region.height > 0 &&
                      region.width <= width - region.x && region.height <= height - region.y;
  if (!inside) {
    refuse(name, message("the region ", region.width, " x ", region.height, " at (", region.x, ", ",
                         region.y, ") does not lie inside ", width, " x ", height, " pixels"));
  }
}

}  // namespace decoders

const char* to_string(ImageFormat format) {
  switch (format) {
    case ImageFormat::kJpeg: return "JPEG";
    case ImageFormat::kPng: return "PNG";
    case ImageFormat::kBmp: return "BMP";
    case ImageFormat::kGif: return "GIF";
    case ImageFormat::kPnm: return "PNM";
    case ImageFormat::kTga: return "TGA";
  }
  return "?";
}

ImageInfo read_image_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  const ImageFormat format = find_format(bytes, name);
  if (format == ImageFormat::kJpeg) return decoders::jpeg_info(bytes, name, options);
  if (format == ImageFormat::kPng) return decoders::png_info(bytes, name, options);
  if (format == ImageFormat::kPnm) return decoders::pnm_info(bytes, name, options);
  return decoders::other_info(bytes, name, format, options);
}

Image decode_image(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  Image image;
  const int orientation = decode(bytes, name, nullptr, image, options);
  return decoders::oriented(std::move(image), orientation);
}

void decode_region(Bytes bytes, const std::string& name, const Box& region, Image& out,
                   const DecodeOptions& options) {
  CHECK(!options.apply_orientation,
        "[decode] a region is cut from the stored picture: decode it whole to turn it upright");
  decode(bytes, name, &region, out, options);
}

int scaled_side(int side, int denominator) {
  return (side + denominator - 1) / denominator;
}

std::vector<std::uint8_t> read_file_bytes(const std::filesystem::path& path) {
  const FileReader file(path);
  std::vector<std::uint8_t> bytes(static_cast<std::size_t>(file.size()));
  file.read(0, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

Image load_image(const std::filesystem::path& path, const DecodeOptions& options) {
  return decode_image(read_file_bytes(path), path.string(), options);
}

}  // namespace invp
