// One format of pictures, INVP_FUZZ_FORMAT: its header, the whole picture, upright and at each
// scale, and a region of it, which must hold the same pixels.
#include <algorithm>

#include "data/images/decode.h"
#include "data/images/decoders.h"
#include "data/images/transform.h"
#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

constexpr std::int64_t kMaxPixels = 1 << 16;

bool is_ours(Bytes bytes) {
  ImageFormat format{};
  return reads([&] { format = decoders::recognize(bytes, "picture"); }) &&
         format == INVP_FUZZ_FORMAT;
}

/// Has a region the pixels of the whole? libjpeg smooths a JPEG that lacks scans by what is around.
bool is_exact(Bytes bytes, const DecodeOptions& options) {
  return INVP_FUZZ_FORMAT != ImageFormat::kJpeg ||
         (!options.allow_truncated && read_image_info(bytes, "picture", options).plain_jpeg);
}

void check_region(Bytes bytes, const Image& whole, const DecodeOptions& options) {
  const Box region{.x = whole.width / 3,
                   .y = whole.height / 4,
                   .width = std::max(1, whole.width / 2),
                   .height = std::max(1, whole.height / 2)};
  Image part;
  if (!reads([&] { decode_region(bytes, "picture", region, part, options); }))
    fault("a region is refused where the whole picture is read");
  if (is_exact(bytes, options) && part.pixels != crop(whole, region).pixels)
    fault("a region has other pixels");
}

void decode(Bytes bytes, const DecodeOptions& options) {
  Image whole;
  if (!reads([&] { whole = decode_image(bytes, "picture", options); })) return;
  if (whole.width <= 0 || whole.height <= 0 ||
      whole.pixels.size() != static_cast<std::size_t>(whole.width) * whole.height * 3) {
    fault("a picture whose pixels do not fit its size");
  }
  if (!options.apply_orientation) check_region(bytes, whole, options);
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  const fuzz::Bytes bytes(data, size);
  if (!fuzz::is_ours(bytes)) return -1;
  DecodeOptions options{.max_pixels = fuzz::kMaxPixels};
  const bool known =
      fuzz::reads([&] { static_cast<void>(read_image_info(bytes, "picture", options)); });
  if (!known) {
    Image image;
    if (fuzz::reads([&] { image = decode_image(bytes, "picture", options); }))
      fuzz::fault("a picture is read whose header is refused");
    return 0;
  }
  fuzz::decode(bytes, options);
  fuzz::decode(bytes, {.max_pixels = options.max_pixels, .apply_orientation = true});
  if (INVP_FUZZ_FORMAT == ImageFormat::kJpeg) {
    for (const int denominator : {2, 8}) {
      fuzz::decode(bytes, {.max_pixels = options.max_pixels,
                           .scale_denominator = denominator,
                           .allow_truncated = true});
    }
  }
  return 0;
}
