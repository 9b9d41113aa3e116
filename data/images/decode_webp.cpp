// WebP by libwebp: lossy, lossless, with alpha, and the first frame of an animation on its canvas.
#include <webp/decode.h>
#include <webp/demux.h>

#include <algorithm>
#include <memory>

#include "data/images/decoders.h"

namespace invp::decoders {
namespace {

struct Delete {
  void operator()(WebPDemuxer* demuxer) const { WebPDemuxDelete(demuxer); }
};
using Demuxer = std::unique_ptr<WebPDemuxer, Delete>;

[[noreturn]] void refuse_status(const std::string& name, VP8StatusCode status) {
  if (status == VP8_STATUS_NOT_ENOUGH_DATA || status == VP8_STATUS_SUSPENDED)
    refuse_cut(name, ImageFormat::kWebp);
  if (status == VP8_STATUS_UNSUPPORTED_FEATURE)
    refuse_unsupported(name, "WebP: a feature that libwebp does not know");
  refuse(name,
         status == VP8_STATUS_OUT_OF_MEMORY ? "WebP: out of memory" : "WebP: the data is damaged");
}

int orientation_of(const WebPDemuxer* demuxer) {
  WebPChunkIterator chunk{};
  if (WebPDemuxGetChunk(demuxer, "EXIF", 1, &chunk) == 0) return 1;
  const int orientation =
      exif_orientation(without_exif_mark({chunk.chunk.bytes, chunk.chunk.size}));
  WebPDemuxReleaseChunkIterator(&chunk);
  return orientation;
}

}  // namespace

ImageInfo webp_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  WebPBitstreamFeatures features{};
  const VP8StatusCode status = WebPGetFeatures(bytes.data(), bytes.size(), &features);
  if (status != VP8_STATUS_OK) refuse_status(name, status);
  check_size(name, features.width, features.height, options);
  check_filled(name, features.width, features.height, bytes.size());
  return {.format = ImageFormat::kWebp,
          .width = features.width,
          .height = features.height,
          .channels = features.has_alpha != 0 ? 4 : 3};
}

int decode_webp(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options) {
  const ImageInfo info = webp_info(bytes, name, options);
  const WebPData data{bytes.data(), bytes.size()};
  WebPDemuxState state{};
  const Demuxer parsed(WebPDemuxPartial(&data, &state));
  if (!parsed || state == WEBP_DEMUX_PARSE_ERROR) refuse_status(name, VP8_STATUS_BITSTREAM_ERROR);
  if (state != WEBP_DEMUX_DONE) refuse_status(name, VP8_STATUS_NOT_ENOUGH_DATA);

  WebPIterator frame{};
  const bool found = WebPDemuxGetFrame(parsed.get(), 1, &frame) != 0;
  const std::unique_ptr<WebPIterator, decltype(&WebPDemuxReleaseIterator)> held(
      &frame, WebPDemuxReleaseIterator);
  const auto canvas_width = static_cast<int>(WebPDemuxGetI(parsed.get(), WEBP_FF_CANVAS_WIDTH));
  const auto canvas_height = static_cast<int>(WebPDemuxGetI(parsed.get(), WEBP_FF_CANVAS_HEIGHT));
  if (!found || canvas_width != info.width || canvas_height != info.height)
    refuse(name, "WebP: the header contradicts itself about the size");
  check_region(name, {frame.x_offset, frame.y_offset, frame.width, frame.height}, info.width,
               info.height);

  out.reshape(info.width, info.height);
  std::ranges::fill(out.pixels, std::uint8_t{0});  // around a frame that is smaller
  WebPDecoderConfig config;
  if (WebPInitDecoderConfig(&config) == 0) refuse(name, "WebP: another libwebp than built with");
  config.output.colorspace = MODE_RGB;
  config.output.is_external_memory = 1;
  std::uint8_t* const corner = out.at(frame.x_offset, frame.y_offset);
  config.output.u.RGBA = {
      .rgba = corner,
      .stride = static_cast<int>(out.stride()),
      .size = out.pixels.size() - static_cast<std::size_t>(corner - out.pixels.data())};
  const VP8StatusCode status = WebPDecode(frame.fragment.bytes, frame.fragment.size, &config);
  if (status != VP8_STATUS_OK) refuse_status(name, status);
  return options.apply_orientation ? orientation_of(parsed.get()) : 1;
}

}  // namespace invp::decoders
