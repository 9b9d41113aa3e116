// Decodes JPEG files on a GPU, all of a batch in one call, by NVIDIA's nvJPEG where the build has
// it. The CPU decodes in data/ (decode.h), also the files that are refused here.
//
// Chroma is interpolated as in libjpeg-turbo; the inverse DCT and the colors are rounded
// differently. Pixels are the CPU's to within two gray levels, rarely three.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/core/tensor.h"

namespace invp {

/// Where a file is, and where its picture goes.
struct JpegFile {
  std::int64_t begin = 0, bytes = 0;  ///< of the files
  int width = 0, height = 0;          ///< as its header says
  std::int64_t pixels = 0;            ///< the first byte of its interleaved RGB rows

  std::int64_t row_bytes() const { return 3 * std::int64_t{width}; }
  std::int64_t picture_bytes() const { return row_bytes() * height; }
};

/// Why this build or this device decodes no JPEGs, and what to do; empty if it does.
std::string jpeg_obstacle(Device device);

/// Decodes whole pictures into `pixels`, u8 on a GPU, in the order of its stream. `bytes`, u8 on
/// the host, holds baseline YCbCr files one after another. False if the decoder refused one of
/// them: then none of their pictures may be used. Throws for places outside of the tensors and
/// where there is a jpeg_obstacle. Cannot be captured (captured_work.h).
bool decode_jpegs(const Tensor& bytes, std::span<const JpegFile> files, const Tensor& pixels);

namespace cuda {
bool decode_jpegs(const Tensor& bytes, std::span<const JpegFile> files, const Tensor& pixels);
}  // namespace cuda

}  // namespace invp
