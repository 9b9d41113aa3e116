// The first picture of a TIFF. libtiff unpacks strips and tiles; how their samples become RGB is
// decided here, as Pillow does. Only YCbCr that is not JPEG goes through libtiff's own conversion.
#include <tiffio.h>

#include <algorithm>
#include <array>
#include <cstdarg>
#include <cstdio>
#include <cstring>
#include <memory>
#include <string_view>

#include "data/images/tiff_samples.h"

namespace invp::decoders {
namespace {

/// Tiles larger than the picture itself are refused above this.
constexpr std::int64_t kMaxTilePixels = 1 << 22;
constexpr std::size_t kMaxTables = std::size_t{64} << 20;  ///< bytes of one allocation in libtiff

template <class T>
T field_or(TIFF* tiff, std::uint32_t tag, T otherwise) {
  T value{};
  return TIFFGetFieldDefaulted(tiff, tag, &value) != 0 ? value : otherwise;
}

/// A file in memory, for libtiff, and what it complains about.
class Source {
 public:
  Source(Bytes bytes, const DecodeOptions& options) : bytes_(bytes) {
    const std::unique_ptr<TIFFOpenOptions, decltype(&TIFFOpenOptionsFree)> open(
        TIFFOpenOptionsAlloc(), TIFFOpenOptionsFree);
    CHECK(open, "[decode] TIFF: out of memory");
    TIFFOpenOptionsSetErrorHandlerExtR(open.get(), keep_message, this);
    TIFFOpenOptionsSetWarningHandlerExtR(open.get(), watch_warnings, this);
    const std::size_t picture = static_cast<std::size_t>(options.max_pixels) * 4;
    TIFFOpenOptionsSetMaxSingleMemAlloc(
        open.get(), static_cast<tmsize_t>(std::max({kMaxTables, bytes.size(), picture})));
    tiff_.reset(
        TIFFClientOpenExt("", "r", this, read, write, seek, close, size, map, unmap, open.get()));
  }
  Source(const Source&) = delete;
  Source& operator=(const Source&) = delete;

  TIFF* tiff() const { return tiff_.get(); }
  bool cut() const { return cut_; }
  std::size_t bytes() const { return bytes_.size(); }
  const std::string& message() const { return message_; }

 private:
  struct Close {
    void operator()(TIFF* tiff) const { TIFFClose(tiff); }
  };

  static Source& of(thandle_t handle) { return *static_cast<Source*>(handle); }
  static tmsize_t read(thandle_t handle, void* to, tmsize_t count) {
    Source& self = of(handle);
    if (self.at_ >= self.bytes_.size() || count <= 0) return 0;
    const std::size_t n = std::min(static_cast<std::size_t>(count), self.bytes_.size() - self.at_);
    std::memcpy(to, self.bytes_.data() + self.at_, n);
    self.at_ += n;
    return static_cast<tmsize_t>(n);
  }
  static tmsize_t write(thandle_t, void*, tmsize_t) { return 0; }
  static toff_t seek(thandle_t handle, toff_t offset, int whence) {
    Source& self = of(handle);
    const toff_t from = whence == SEEK_CUR ? self.at_ : whence == SEEK_END ? self.bytes_.size() : 0;
    self.at_ = from + offset;
    return self.at_;
  }
  static int close(thandle_t) { return 0; }
  static toff_t size(thandle_t handle) { return of(handle).bytes_.size(); }
  static int map(thandle_t handle, void** base, toff_t* size) {
    // libtiff only reads a file that was opened for reading.
    *base = const_cast<std::uint8_t*>(of(handle).bytes_.data());
    *size = of(handle).bytes_.size();
    return 1;
  }
  static void unmap(thandle_t, void*, toff_t) {}
  static int keep_message(TIFF*, void* user, const char*, const char* format, va_list values) {
    auto& self = *static_cast<Source*>(user);
    std::array<char, 256> text{};
    std::vsnprintf(text.data(), text.size(), format, values);
    if (self.message_.empty()) self.message_ = text.data();
    return 1;
  }
  /// libtiff goes on without a tag whose values lie beyond the end of the file.
  static int watch_warnings(TIFF*, void* user, const char*, const char* format, va_list) {
    auto& self = *static_cast<Source*>(user);
    if (std::string_view(format).starts_with("IO error")) self.cut_ = true;
    return 1;
  }

  Bytes bytes_;
  toff_t at_ = 0;
  bool cut_ = false;
  std::string message_;  ///< the first
  std::unique_ptr<TIFF, Close> tiff_;
};

class Decoder {
 public:
  Decoder(Bytes bytes, const std::string& name, const DecodeOptions& options)
      : name_(name), source_(bytes, options) {
    if (source_.tiff() == nullptr) refuse_damaged();
    if (source_.cut()) refuse_cut(name_, ImageFormat::kTiff);
    read_layout(options);
    refuse_what_is_not_read();
  }

  ImageInfo info() const {
    const bool turned = layout_.orientation >= 5;
    return {.format = ImageFormat::kTiff,
            .width = turned ? layout_.height : layout_.width,
            .height = turned ? layout_.width : layout_.height,
            .channels = layout_.photometric == PHOTOMETRIC_PALETTE ? 3 : layout_.samples};
  }

  void decode(Image& out) {
    // So that a few bytes which claim a large picture cost no memory: one strip may be all of it,
    // in eight samples of 16 bits.
    check_filled(name_, layout_.width, layout_.height, source_.bytes());
    constexpr std::size_t kSmall = std::size_t{16} << 20, kBytesPerByte = 3 * 4096;
    const std::size_t planes = layout_.planes ? static_cast<std::size_t>(layout_.samples) : 1;
    const std::size_t stored =
        layout_.row_bytes(layout_.width) * planes * static_cast<std::size_t>(layout_.height);
    const bool subsampled = layout_.photometric == PHOTOMETRIC_YCBCR;
    const bool plain = layout_.compression == COMPRESSION_NONE && !subsampled;
    if (stored > kSmall && stored / kBytesPerByte > source_.bytes())
      refuse_cut(name_, ImageFormat::kTiff);
    if (plain && stored > source_.bytes()) refuse_cut(name_, ImageFormat::kTiff);
    out.reshape(layout_.width, layout_.height);
    if (layout_.photometric == PHOTOMETRIC_YCBCR) {
      read_through_libtiff(out);
    } else {
      read_blocks(out);
    }
    out = oriented(std::move(out), layout_.orientation);
  }

 private:
  [[noreturn]] void refuse_damaged() const {
    refuse(name_,
           "TIFF: " + (source_.message().empty() ? "the file is damaged" : source_.message()));
  }
  [[noreturn]] void unsupported(const std::string& what) const {
    refuse_unsupported(name_, "TIFF: " + what);
  }

  void read_layout(const DecodeOptions& options) {
    TIFF* const tiff = source_.tiff();
    const std::int64_t width = field_or<std::uint32_t>(tiff, TIFFTAG_IMAGEWIDTH, 0);
    const std::int64_t height = field_or<std::uint32_t>(tiff, TIFFTAG_IMAGELENGTH, 0);
    check_size(name_, width, height, options);
    layout_.width = static_cast<int>(width);
    layout_.height = static_cast<int>(height);
    layout_.bits = field_or<std::uint16_t>(tiff, TIFFTAG_BITSPERSAMPLE, 1);
    layout_.samples = field_or<std::uint16_t>(tiff, TIFFTAG_SAMPLESPERPIXEL, 1);
    layout_.planes = field_or<std::uint16_t>(tiff, TIFFTAG_PLANARCONFIG, PLANARCONFIG_CONTIG) ==
                     PLANARCONFIG_SEPARATE;
    layout_.compression = field_or<std::uint16_t>(tiff, TIFFTAG_COMPRESSION, COMPRESSION_NONE);
    std::uint16_t photometric = 0;
    if (TIFFGetField(tiff, TIFFTAG_PHOTOMETRIC, &photometric) == 0)
      refuse(name_, "TIFF: the photometric interpretation is missing");
    layout_.photometric = photometric;
    const int orientation = field_or<std::uint16_t>(tiff, TIFFTAG_ORIENTATION, 1);
    layout_.orientation = orientation >= 1 && orientation <= 8 ? orientation : 1;
    std::uint16_t extra_count = 0;
    std::uint16_t* extra = nullptr;
    if (TIFFGetField(tiff, TIFFTAG_EXTRASAMPLES, &extra_count, &extra) != 0 && extra_count > 0)
      layout_.premultiplied = extra[0] == EXTRASAMPLE_ASSOCALPHA;
    std::uint16_t *red = nullptr, *green = nullptr, *blue = nullptr;
    if (photometric == PHOTOMETRIC_PALETTE && layout_.bits <= 8) {
      if (TIFFGetField(tiff, TIFFTAG_COLORMAP, &red, &green, &blue) == 0)
        refuse(name_, "TIFF: the color map is missing");
      for (std::size_t i = 0; i < std::size_t{1} << layout_.bits; ++i)
        layout_.palette.push_back({static_cast<std::uint8_t>(red[i] >> 8),
                                   static_cast<std::uint8_t>(green[i] >> 8),
                                   static_cast<std::uint8_t>(blue[i] >> 8)});
    }
    if (photometric == PHOTOMETRIC_YCBCR && layout_.compression == COMPRESSION_JPEG) {
      TIFFSetField(tiff, TIFFTAG_JPEGCOLORMODE, JPEGCOLORMODE_RGB);
      layout_.photometric = PHOTOMETRIC_RGB;
    }
  }

  void refuse_what_is_not_read() {
    TIFF* const tiff = source_.tiff();
    std::uint32_t kind = 0;
    std::uint16_t count = 0;
    void* folders = nullptr;
    // What comes first in cameras' raw files is a thumbnail, the picture is in a sub-directory.
    if (TIFFGetField(tiff, TIFFTAG_SUBFILETYPE, &kind) != 0 &&
        (kind & FILETYPE_REDUCEDIMAGE) != 0 &&
        TIFFGetField(tiff, TIFFTAG_SUBIFD, &count, &folders) != 0 && count > 0) {
      unsupported("a camera's raw file");
    }
    if (layout_.photometric == PHOTOMETRIC_CFA) unsupported("a camera's raw samples");
    if (TIFFIsCODECConfigured(static_cast<std::uint16_t>(layout_.compression)) == 0 ||
        layout_.compression == COMPRESSION_OJPEG) {
      const TIFFCodec* codec = TIFFFindCODEC(static_cast<std::uint16_t>(layout_.compression));
      unsupported(invp::message("compression ", layout_.compression,
                                codec != nullptr ? invp::message(" (", codec->name, ")") : ""));
    }
    const int format = field_or<std::uint16_t>(tiff, TIFFTAG_SAMPLEFORMAT, SAMPLEFORMAT_UINT);
    if (format != SAMPLEFORMAT_UINT && format != SAMPLEFORMAT_VOID)
      unsupported(format == SAMPLEFORMAT_IEEEFP ? "floating-point samples"
                  : format == SAMPLEFORMAT_INT  ? "signed samples"
                                                : "complex samples");
    if (const std::string obstacle = obstacle_of(layout_); !obstacle.empty()) unsupported(obstacle);
  }

  void read_through_libtiff(Image& out) {
    std::array<char, 1024> reason{};
    if (TIFFRGBAImageOK(source_.tiff(), reason.data()) == 0) unsupported(reason.data());
    const auto width = static_cast<std::uint32_t>(layout_.width);
    const auto height = static_cast<std::uint32_t>(layout_.height);
    block_size();  // refuses what would take too much memory
    std::vector<std::uint32_t> raster(static_cast<std::size_t>(width) * height);
    // As if it stood upright: `oriented` turns it.
    TIFFSetField(source_.tiff(), TIFFTAG_ORIENTATION, ORIENTATION_TOPLEFT);
    if (TIFFReadRGBAImageOriented(source_.tiff(), width, height, raster.data(), ORIENTATION_TOPLEFT,
                                  1) == 0 ||
        !source_.message().empty()) {
      refuse_damaged();
    }
    std::uint8_t* to = out.pixels.data();
    for (const std::uint32_t pixel : raster) {
      *to++ = static_cast<std::uint8_t>(TIFFGetR(pixel));
      *to++ = static_cast<std::uint8_t>(TIFFGetG(pixel));
      *to++ = static_cast<std::uint8_t>(TIFFGetB(pixel));
    }
  }

  /// The size of a tile or of all strips but the last. Refuses sizes that make no sense.
  Box block_size() {
    TIFF* const tiff = source_.tiff();
    if (TIFFIsTiled(tiff) == 0) {
      const auto rows = field_or<std::uint32_t>(tiff, TIFFTAG_ROWSPERSTRIP, ~0u);
      if (rows == 0) refuse(name_, "TIFF: strips without rows");
      return {0, 0, layout_.width,
              static_cast<int>(std::min(rows, static_cast<std::uint32_t>(layout_.height)))};
    }
    const std::int64_t width = field_or<std::uint32_t>(tiff, TIFFTAG_TILEWIDTH, 0);
    const std::int64_t height = field_or<std::uint32_t>(tiff, TIFFTAG_TILELENGTH, 0);
    const std::int64_t picture = std::int64_t{layout_.width} * layout_.height;
    if (width <= 0 || height <= 0 || width > std::max(picture, kMaxTilePixels) / height)
      refuse(name_, invp::message("TIFF: tiles of ", width, " x ", height, " in a picture of ",
                                  layout_.width, " x ", layout_.height));
    return {0, 0, static_cast<int>(width), static_cast<int>(height)};
  }

  /// Reads one tile or strip of one plane, of which `rows` rows are in the picture.
  void read_block(const Box& block, int rows, int plane, std::vector<std::uint8_t>& to) {
    TIFF* const tiff = source_.tiff();
    const bool tiled = TIFFIsTiled(tiff) != 0;
    const tmsize_t size =
        tiled ? TIFFTileSize(tiff) : TIFFVStripSize(tiff, static_cast<std::uint32_t>(rows));
    const std::size_t wanted =
        layout_.row_bytes(block.width) * static_cast<std::size_t>(tiled ? block.height : rows);
    if (size <= 0 || static_cast<std::size_t>(size) != wanted) refuse_damaged();
    to.resize(wanted);
    const auto x = static_cast<std::uint32_t>(block.x), y = static_cast<std::uint32_t>(block.y);
    const auto sample = static_cast<std::uint16_t>(plane);
    const tmsize_t read =
        tiled ? TIFFReadEncodedTile(tiff, TIFFComputeTile(tiff, x, y, 0, sample), to.data(), size)
              : TIFFReadEncodedStrip(tiff, TIFFComputeStrip(tiff, y, sample), to.data(), size);
    if (read != size) refuse_damaged();
  }

  void read_blocks(Image& out) {
    Box block = block_size();
    std::vector<std::vector<std::uint8_t>> planes(
        layout_.planes ? static_cast<std::size_t>(layout_.samples) : 1);
    SampleRow row(layout_, block.width);
    for (block.y = 0; block.y < layout_.height; block.y += block.height) {
      const int rows = std::min(block.height, layout_.height - block.y);
      for (block.x = 0; block.x < layout_.width; block.x += block.width) {
        for (std::size_t p = 0; p < planes.size(); ++p)
          read_block(block, rows, static_cast<int>(p), planes[p]);
        const int columns = std::min(block.width, layout_.width - block.x);
        for (int y = 0; y < rows; ++y) {
          for (std::size_t p = 0; p < planes.size(); ++p)
            row.unpack(
                planes[p].data() + layout_.row_bytes(block.width) * static_cast<std::size_t>(y), p);
          row.to_rgb(columns, out.at(block.x, block.y + y));
        }
      }
    }
  }

  const std::string& name_;
  Source source_;
  TiffLayout layout_;
};

}  // namespace

ImageInfo tiff_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  return Decoder(bytes, name, options).info();
}

void decode_tiff(Bytes bytes, const std::string& name, Image& out, const DecodeOptions& options) {
  Decoder(bytes, name, options).decode(out);
}

}  // namespace invp::decoders
