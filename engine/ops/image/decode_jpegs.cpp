#include "engine/ops/image/decode_jpegs.h"

#include "engine/core/dispatch.h"

namespace invp {

std::string jpeg_obstacle(Device device) {
  if (device == kCpu) return "the CPU decodes in the loader's workers; a GPU is needed for it";
#ifdef INVP_NVJPEG
  return {};
#else
  return "this program was built without nvJPEG; with the one of the CUDA toolkit, or that of "
         "scripts/dependencies, cmake --preset cuda builds it with";
#endif
}

bool decode_jpegs(const Tensor& bytes, std::span<const JpegFile> files, const Tensor& pixels) {
  const std::string obstacle = jpeg_obstacle(pixels.device());
  CHECK(obstacle.empty(), "[decode_jpegs] ", obstacle);
  CHECK(bytes.dtype() == DType::kU8 && bytes.device() == kCpu && pixels.dtype() == DType::kU8,
        "[decode_jpegs] files are u8 on the host, pixels u8");
  for (const JpegFile& file : files) {
    CHECK(file.begin >= 0 && file.bytes > 0 && file.bytes <= bytes.numel() - file.begin,
          "[decode_jpegs] a file of ", file.bytes, " bytes from ", file.begin, " on of ",
          bytes.numel());
    CHECK(file.width > 0 && file.height > 0 && file.pixels >= 0 &&
              file.picture_bytes() <= pixels.numel() - file.pixels,
          "[decode_jpegs] no room for ", file.width, " x ", file.height, " pixels from byte ",
          file.pixels, " on of ", pixels.numel());
  }
  if (files.empty()) return true;
#ifdef INVP_NVJPEG
  cuda::enter(pixels.device(), "decode_jpegs");
  return cuda::decode_jpegs(bytes, files, pixels);
#else
  return false;
#endif
}

}  // namespace invp
