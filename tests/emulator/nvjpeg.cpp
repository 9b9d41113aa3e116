// Decodes at once, with another inverse DCT than data/ uses, into a buffer of the state, and queues
// the copy of it: code that uses a state again before its stream is through spoils the batch
// before, as on a GPU. Damage in the compressed data is not seen, files cut short and broken
// headers are.
#include "nvjpeg.h"

#include <cstdio>
// jpeglib.h uses FILE without including what declares it.
#include <jpeglib.h>

#include <csetjmp>
#include <vector>

struct nvjpegHandle {
  unsigned flags;
};
struct nvjpegJpegState {
  int batch_size = 0;
  std::vector<std::vector<unsigned char>> pictures;
};

namespace {

struct Errors {
  jpeg_error_mgr manager;
  std::jmp_buf jump;
};

nvjpegStatus_t decode(const unsigned char* data, std::size_t length, bool interpolate,
                      std::size_t pitch, std::vector<unsigned char>& picture) {
  jpeg_decompress_struct jpeg{};
  Errors errors{};
  jpeg.err = jpeg_std_error(&errors.manager);
  errors.manager.error_exit = [](j_common_ptr failed) {
    std::longjmp(reinterpret_cast<Errors*>(failed->err)->jump, 1);
  };
  errors.manager.output_message = [](j_common_ptr) {};
  if (setjmp(errors.jump) != 0) {
    jpeg_destroy_decompress(&jpeg);
    return NVJPEG_STATUS_BAD_JPEG;
  }
  jpeg_create_decompress(&jpeg);
  jpeg_mem_src(&jpeg, data, length);
  jpeg_read_header(&jpeg, TRUE);
  jpeg.out_color_space = JCS_RGB;
  jpeg.dct_method = JDCT_FLOAT;
  jpeg.do_fancy_upsampling = interpolate ? TRUE : FALSE;
  jpeg_start_decompress(&jpeg);
  picture.assign(pitch * jpeg.output_height, 0);
  while (jpeg.output_scanline < jpeg.output_height) {
    JSAMPROW row = picture.data() + pitch * jpeg.output_scanline;
    jpeg_read_scanlines(&jpeg, &row, 1);
  }
  const bool cut = errors.manager.num_warnings > 0;
  jpeg_destroy_decompress(&jpeg);
  return cut ? NVJPEG_STATUS_INCOMPLETE_BITSTREAM : NVJPEG_STATUS_SUCCESS;
}

}  // namespace

nvjpegStatus_t nvjpegCreateEx(nvjpegBackend_t, void*, void*, unsigned flags,
                              nvjpegHandle_t* handle) {
  *handle = new nvjpegHandle{flags};
  return NVJPEG_STATUS_SUCCESS;
}
nvjpegStatus_t nvjpegJpegStateCreate(nvjpegHandle_t, nvjpegJpegState_t* state) {
  *state = new nvjpegJpegState;
  return NVJPEG_STATUS_SUCCESS;
}
nvjpegStatus_t nvjpegDecodeBatchedInitialize(nvjpegHandle_t, nvjpegJpegState_t state,
                                             int batch_size, int, nvjpegOutputFormat_t) {
  state->batch_size = batch_size;
  state->pictures.resize(static_cast<std::size_t>(batch_size));
  return NVJPEG_STATUS_SUCCESS;
}
nvjpegStatus_t nvjpegDecodeBatched(nvjpegHandle_t handle, nvjpegJpegState_t state,
                                   const unsigned char* const* data, const std::size_t* lengths,
                                   nvjpegImage_t* destinations, cudaStream_t stream) {
  cudaStreamCaptureStatus captured = cudaStreamCaptureStatusNone;
  cudaStreamIsCapturing(stream, &captured);
  if (captured == cudaStreamCaptureStatusActive) return NVJPEG_STATUS_EXECUTION_FAILED;
  if (state->batch_size == 0) return NVJPEG_STATUS_INVALID_PARAMETER;
  const bool interpolate = (handle->flags & NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION) != 0;
  for (std::size_t i = 0; i < state->pictures.size(); ++i) {
    std::vector<unsigned char>& picture = state->pictures[i];
    const nvjpegStatus_t status =
        decode(data[i], lengths[i], interpolate, destinations[i].pitch[0], picture);
    if (status != NVJPEG_STATUS_SUCCESS) return status;
    cudaMemcpyAsync(destinations[i].channel[0], picture.data(), picture.size(),
                    cudaMemcpyHostToDevice, stream);
  }
  return NVJPEG_STATUS_SUCCESS;
}
