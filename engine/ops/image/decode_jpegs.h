// Decodes JPEG files on a GPU, all of a batch in one call, by NVIDIA's nvJPEG where the build has
// it. The CPU decodes in data/ (decode.h), which is also where a file that is refused here goes.
//
// Chroma is interpolated as libjpeg-turbo does it, the inverse DCT and the colors are rounded
// otherwise: pixels are those of the CPU to within two gray levels, in rare ones three.
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

/// Why this build or this device decodes no JPEGs, and the way out; empty if it does.
std::string jpeg_obstacle(Device device);

/// Decodes whole pictures into `pixels`, u8 on a GPU, in the order of its stream. `bytes`, u8 on
/// the host, holds baseline YCbCr files behind one another. False if the decoder refused one of
/// them: then none of their pictures may be used. Throws for places outside of the tensors and
/// where there is a jpeg_obstacle. Cannot be recorded (recorded_work.h).
bool decode_jpegs(const Tensor& bytes, std::span<const JpegFile> files, const Tensor& pixels);

namespace cuda {
bool decode_jpegs(const Tensor& bytes, std::span<const JpegFile> files, const Tensor& pixels);
}  // namespace cuda

}  // namespace invp
