#include "data/images/decode.h"

#include <algorithm>
#include <atomic>

#include "data/images/decoders.h"
#include "data/images/transform.h"
#include "engine/files/file_reader.h"

namespace invp {
namespace {

using decoders::Bytes;

std::atomic<std::int64_t> max_pixels = 100'000'000;

/// `whole`, `turned` or `region`: what the format's decoder can do.
struct Format {
  ImageFormat format;
  const char* name;
  decoders::Info* info;
  decoders::DecodeWhole* whole = nullptr;
  decoders::DecodeTurned* turned = nullptr;
  decoders::DecodeRegion* region = nullptr;
};

constexpr Format kFormats[] = {
    {ImageFormat::kJpeg, "JPEG", decoders::jpeg_info, nullptr, nullptr, decoders::decode_jpeg},
    {ImageFormat::kPng, "PNG", decoders::png_info, nullptr, nullptr, decoders::decode_png},
    {ImageFormat::kBmp, "BMP", decoders::bmp_info, decoders::decode_bmp},
    {ImageFormat::kGif, "GIF", decoders::gif_info, decoders::decode_gif},
    {ImageFormat::kPnm, "PNM", decoders::pnm_info, decoders::decode_pnm},
    {ImageFormat::kTga, "TGA", decoders::tga_info, decoders::decode_tga},
    {ImageFormat::kWebp, "WebP", decoders::webp_info, nullptr, decoders::decode_webp},
    {ImageFormat::kTiff, "TIFF", decoders::tiff_info, decoders::decode_tiff},
};

const Format& entry_of(ImageFormat format) {
  return *std::ranges::find(kFormats, format, &Format::format);
}

/// Returns the EXIF orientation, as the decoders do.
int decode(Bytes bytes, const std::string& name, const Box* region, Image& out,
           const DecodeOptions& options) {
  const int denominator = options.scale_denominator;
  CHECK(denominator == 1 || denominator == 2 || denominator == 4 || denominator == 8,
        "[decode] the scale denominator is 1, 2, 4 or 8, got ", denominator);
  const Format& format = entry_of(decoders::recognize(bytes, name));
  if (format.region) return format.region(bytes, name, region, out, options);
  Image whole;
  Image& target = region ? whole : out;
  int orientation = 1;
  if (format.turned) {
    orientation = format.turned(bytes, name, target, options);
  } else {
    format.whole(bytes, name, target, options);
  }
  if (region) {
    decoders::check_region(name, *region, whole.width, whole.height);
    out = crop(whole, *region);
  }
  return orientation;
}

}  // namespace

namespace decoders {

void refuse_unsupported(const std::string& name, const std::string& what) {
  throw UnsupportedPicture(message("[decode] ", name, ": ", what,
                                   " is not supported: convert the picture to JPEG or PNG"));
}

void ink_to_rgb(int c, int m, int y, int k, std::uint8_t* rgb) {
  const auto multiply = [](int a, int b) {
    const int t = a * b + 128;
    return ((t >> 8) + t) >> 8;
  };
  const int light = 255 - k;
  const int inks[] = {c, m, y};
  for (int i = 0; i < 3; ++i)
    rgb[i] = static_cast<std::uint8_t>(std::max(0, light - multiply(inks[i], light)));
}

void check_size(const std::string& name, std::int64_t width, std::int64_t height,
                const DecodeOptions& options) {
  if (width <= 0 || height <= 0) {
    refuse(name, message("the header claims a size of ", width, " x ", height));
  }
  // Divided, not multiplied: the claims of a hostile header may overflow.
  if (width > options.max_pixels / height) {
    throw UnsupportedPicture(message("[decode] ", name, ": the header claims ", width, " x ",
                                     height, " pixels, more than the ", options.max_pixels,
                                     " allowed; --max-pixels raises the limit"));
  }
}

void check_filled(const std::string& name, std::int64_t width, std::int64_t height,
                  std::size_t file_bytes) {
  constexpr std::uint64_t kSmall = std::uint64_t{4} << 20, kPixelsPerByte = 4096;
  const auto pixels = static_cast<std::uint64_t>(width) * static_cast<std::uint64_t>(height);
  if (pixels <= kSmall || pixels / kPixelsPerByte <= file_bytes) return;
  refuse(name, message("the header claims ", width, " x ", height, " pixels in ", file_bytes,
                       " bytes; the file is cut short, or nearly empty"));
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

std::int64_t default_max_pixels() {
  return max_pixels.load(std::memory_order_relaxed);
}

void set_default_max_pixels(std::int64_t pixels) {
  max_pixels.store(pixels, std::memory_order_relaxed);
}

const char* to_string(ImageFormat format) {
  return entry_of(format).name;
}

ImageInfo read_image_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  return entry_of(decoders::recognize(bytes, name)).info(bytes, name, options);
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
