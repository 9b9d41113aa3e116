#include <nvjpeg.h>

#include <array>
#include <vector>

#include "engine/core/cuda_context.h"
#include "engine/ops/image/decode_jpegs.h"

namespace invp::cuda {
namespace {

void check(nvjpegStatus_t status, const char* call) {
  if (status == NVJPEG_STATUS_SUCCESS) [[likely]]
    return;
  fail_call(call, message("nvJPEG's status ", static_cast<int>(status)));
}

/// True if the status says that the file is at fault, not nvJPEG.
bool refuses_file(nvjpegStatus_t status) {
  return status == NVJPEG_STATUS_BAD_JPEG || status == NVJPEG_STATUS_JPEG_NOT_SUPPORTED ||
         status == NVJPEG_STATUS_INCOMPLETE_BITSTREAM;
}

/// The GPU's decoder. Batches take turns with two states, each with buffers of its own, so that
/// the host prepares one batch while the GPU decodes the one before.
class JpegDecoder {
 public:
  explicit JpegDecoder(Context& context);
  bool decode(const Tensor& bytes, std::span<const JpegFile> files, std::uint8_t* pixels);

 private:
  // Handles are never destroyed, like the context's.
  struct State {
    nvjpegJpegState_t handle = nullptr;
    cudaEvent_t done = nullptr;  ///< after the last batch that was decoded with it
    std::size_t files = 0;       ///< what it is prepared for
    Tensor bytes;                ///< the batch's: nvJPEG may read them until then
  };

  Context& context_;
  nvjpegHandle_t library_ = nullptr;
  std::array<State, 2> states_;
  std::size_t batches_ = 0;
  std::vector<const unsigned char*> data_;
  std::vector<std::size_t> lengths_;
  std::vector<nvjpegImage_t> pictures_;
};

JpegDecoder::JpegDecoder(Context& context) : context_(context) {
  // The GPU resolves the Huffman codes too, in batches of more than 50.
  constexpr unsigned kFlags =
      (NVJPEG_FLAGS_BITSTREAM_STRICT) | (NVJPEG_FLAGS_UPSAMPLING_WITH_INTERPOLATION);
  check(nvjpegCreateEx(NVJPEG_BACKEND_GPU_HYBRID, nullptr, nullptr, kFlags, &library_),
        "nvjpegCreateEx");
  for (State& state : states_) {
    check(nvjpegJpegStateCreate(library_, &state.handle), "nvjpegJpegStateCreate");
    CUDA_CHECK(cudaEventCreateWithFlags(&state.done, cudaEventDisableTiming));
  }
}

bool JpegDecoder::decode(const Tensor& bytes, std::span<const JpegFile> files,
                         std::uint8_t* pixels) {
  data_.clear();
  lengths_.clear();
  pictures_.clear();
  for (const JpegFile& file : files) {
    data_.push_back(bytes.data<std::uint8_t>() + file.begin);
    lengths_.push_back(static_cast<std::size_t>(file.bytes));
    nvjpegImage_t& picture = pictures_.emplace_back();
    picture.channel[0] = pixels + file.pixels;
    picture.pitch[0] = static_cast<std::size_t>(file.row_bytes());
  }
  State& state = states_[batches_++ % states_.size()];
  CUDA_CHECK(cudaEventSynchronize(state.done));
  state.bytes = bytes;
  if (state.files != files.size()) {
    state.files = 0;  // until it is
    check(nvjpegDecodeBatchedInitialize(library_, state.handle, static_cast<int>(files.size()), 1,
                                        NVJPEG_OUTPUT_RGBI),
          "nvjpegDecodeBatchedInitialize");
    state.files = files.size();
  }
  const nvjpegStatus_t status = nvjpegDecodeBatched(
      library_, state.handle, data_.data(), lengths_.data(), pictures_.data(), context_.stream());
  CUDA_CHECK(cudaEventRecord(state.done, context_.stream()));
  if (status == NVJPEG_STATUS_SUCCESS) return true;
  state.files = 0;  // it may have stopped halfway
  if (!refuses_file(status)) check(status, "nvjpegDecodeBatched");
  return false;
}

}  // namespace

bool decode_jpegs(const Tensor& bytes, std::span<const JpegFile> files, const Tensor& pixels) {
  Context& gpu = context(pixels.device());
  return gpu.part<JpegDecoder>().decode(bytes, files, pixels.data<std::uint8_t>());
}

}  // namespace invp::cuda
