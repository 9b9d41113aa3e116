#include "data/images/encode.h"

#include <cstdio>
// jpeglib.h needs FILE declared before it.
#include <jpeglib.h>
#include <png.h>

#include <csetjmp>
#include <cstdlib>
#include <tuple>

#include "engine/core/error.h"

namespace invp {
namespace {

struct JpegErrors {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void check(const char* op, const ImageView& image, int longest) {
  CHECK(image.width > 0 && image.height > 0 && image.width <= longest && image.height <= longest,
        "[", op, "] sides of 1 to ", longest, " pixels, got ", image.width, " x ", image.height);
}

/// Luma sampling factors: how many luma samples stand for one chroma sample in each direction.
std::pair<int, int> sampling(Subsampling subsampling) {
  switch (subsampling) {
    case Subsampling::k422: return {2, 1};
    case Subsampling::k440: return {1, 2};
    case Subsampling::k420: return {2, 2};
    case Subsampling::k411: return {4, 1};
    case Subsampling::k444:
    case Subsampling::kGray: break;
  }
  return {1, 1};
}

/// The C part of encode_jpeg. It owns nothing with a destructor, because libjpeg leaves it by
/// longjmp.
bool compress(const ImageView& image, const JpegOptions& options, JpegErrors& errors,
              jpeg_compress_struct& jpeg, unsigned char** data, unsigned long* size) {
  if (setjmp(errors.jump) != 0) return false;
  jpeg_create_compress(&jpeg);
  jpeg_mem_dest(&jpeg, data, size);
  jpeg.image_width = static_cast<JDIMENSION>(image.width);
  jpeg.image_height = static_cast<JDIMENSION>(image.height);
  jpeg.input_components = 3;
  jpeg.in_color_space = JCS_RGB;
  jpeg_set_defaults(&jpeg);
  if (options.subsampling == Subsampling::kGray) jpeg_set_colorspace(&jpeg, JCS_GRAYSCALE);
  std::tie(jpeg.comp_info[0].h_samp_factor, jpeg.comp_info[0].v_samp_factor) =
      sampling(options.subsampling);
  jpeg_set_quality(&jpeg, options.quality, TRUE);
  if (options.progressive) jpeg_simple_progression(&jpeg);
  jpeg_start_compress(&jpeg, TRUE);
  for (int y = 0; y < image.height; ++y) {
    JSAMPROW row = const_cast<JSAMPROW>(image.row(y));
    jpeg_write_scanlines(&jpeg, &row, 1);
  }
  jpeg_finish_compress(&jpeg);
  return true;
}

}  // namespace

std::vector<std::uint8_t> encode_jpeg(ImageView image, const JpegOptions& options) {
  check("encode_jpeg", image, JPEG_MAX_DIMENSION);
  CHECK(options.quality >= 1 && options.quality <= 100, "[encode_jpeg] quality is 1 to 100, got ",
        options.quality);
  JpegErrors errors{};
  jpeg_compress_struct jpeg{};
  jpeg.err = jpeg_std_error(&errors.base);
  errors.base.error_exit = [](j_common_ptr common) {
    auto& self = *reinterpret_cast<JpegErrors*>(common->err);
    common->err->format_message(common, self.message);
    std::longjmp(self.jump, 1);
  };
  unsigned char* data = nullptr;
  unsigned long size = 0;
  const bool written = compress(image, options, errors, jpeg, &data, &size);
  jpeg_destroy_compress(&jpeg);
  std::vector<std::uint8_t> bytes;
  if (written) bytes.assign(data, data + size);
  std::free(data);
  CHECK(written, "[encode_jpeg] ", errors.message);
  return bytes;
}

std::vector<std::uint8_t> encode_png(ImageView image) {
  check("encode_png", image, PNG_USER_WIDTH_MAX);
  png_image header{};
  header.version = PNG_IMAGE_VERSION;
  header.width = static_cast<png_uint_32>(image.width);
  header.height = static_cast<png_uint_32>(image.height);
  header.format = PNG_FORMAT_RGB;
  std::vector<std::uint8_t> bytes(PNG_IMAGE_PNG_SIZE_MAX(header));
  png_alloc_size_t size = bytes.size();
  const int written = png_image_write_to_memory(&header, bytes.data(), &size, 0, image.pixels,
                                                static_cast<png_int_32>(image.stride), nullptr);
  CHECK(written, "[encode_png] ", header.message);
  bytes.resize(size);
  return bytes;
}

}  // namespace invp
