// libjpeg-turbo in a class that frees its memory. libjpeg reports errors by longjmp. The jump ends
// in Decoder::guarded, which throws; no frame that it jumps over owns anything with a destructor.
#include <cstdio>
// jpeglib.h uses FILE without including what declares it.
#include <jpeglib.h>
// jerror.h goes on where jpeglib.h left off.
#include <jerror.h>

#include <algorithm>
#include <array>
#include <csetjmp>
#include <cstring>

#include "data/images/decode.h"
#include "data/images/decoders.h"

namespace invp::decoders {
namespace {

/// A progressive file made to be slow repeats scans; each is a pass over all coefficients. Encoders
/// make about ten.
constexpr int kMostScans = 500, kScansOfAnySize = 20;
constexpr std::int64_t kMostPixelsOfScans = 1'000'000'000;

/// Upsampling reads the neighboring chroma sample, which is missing at the ends of a cropped row.
/// So many extra pixels on either side give the same pixels as decoding the whole image.
constexpr int kMargin = 4;

constexpr int kExifMarker = JPEG_APP0 + 1;

/// Freed also when the Decoder's constructor throws.
struct Handle {
  jpeg_decompress_struct jpeg_{};
  ~Handle() { jpeg_destroy_decompress(&jpeg_); }
};

class Decoder : private Handle {
 public:
  Decoder(Bytes bytes, const std::string& name, const DecodeOptions& options)
      : name_(name), options_(options), bytes_(bytes.size()) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = [](j_common_ptr jpeg) {
      Decoder& self = of(jpeg);
      jpeg->err->format_message(jpeg, self.message_);
      self.failed_ = true;
      std::longjmp(self.jump_, 1);
    };
    errors_.emit_message = [](j_common_ptr jpeg, int level) {
      Decoder& self = of(jpeg);
      if (level < 0 && jpeg->err->msg_code == JWRN_HIT_MARKER) self.starved_ = true;
    };
    errors_.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      const auto* self = reinterpret_cast<j_decompress_ptr>(jpeg);
      const std::int64_t pixels = std::int64_t{self->image_width} * self->image_height;
      const std::int64_t most = std::clamp<std::int64_t>(
          kMostPixelsOfScans / std::max<std::int64_t>(pixels, 1), kScansOfAnySize, kMostScans);
      if (self->input_scan_number > most) of(jpeg).stop("more scans than any encoder makes");
    };
    guarded([&] {
      jpeg_create_decompress(&jpeg_);
      jpeg_.progress = &progress_;
      set_source(bytes);
      if (options_.apply_orientation) jpeg_save_markers(&jpeg_, kExifMarker, 0xffff);
      jpeg_read_header(&jpeg_, TRUE);
    });
    check_size(name_, jpeg_.image_width, jpeg_.image_height, options_);
    if (jpeg_.num_components == 2) refuse(name_, "a JPEG of two components is no picture");
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  ImageInfo info(Bytes bytes) {
    const bool ends =
        bytes.size() > 2 && bytes[bytes.size() - 2] == 0xff && bytes.back() == JPEG_EOI;
    return {ImageFormat::kJpeg, static_cast<int>(jpeg_.image_width),
            static_cast<int>(jpeg_.image_height), jpeg_.num_components, ends && is_plain()};
  }

  int decode(const Box* wanted, Image& out) {
    guarded([&] {
      jpeg_.scale_num = 1;
      jpeg_.scale_denom = static_cast<unsigned>(options_.scale_denominator);
      jpeg_.dct_method = JDCT_ISLOW;
      jpeg_.do_fancy_upsampling = TRUE;
      jpeg_.out_color_space = jpeg_.num_components == 4 ? JCS_CMYK : JCS_RGB;
      jpeg_calc_output_dimensions(&jpeg_);
    });
    refuse_if_hollow();
    const int width = static_cast<int>(jpeg_.output_width);
    const int height = static_cast<int>(jpeg_.output_height);
    const Box region = wanted ? *wanted : Box{0, 0, width, height};
    check_region(name_, region, width, height);
    out.reshape(region.width, region.height);
    guarded([&] { jpeg_start_decompress(&jpeg_); });
    // A progressive file is read to its end before the first row comes out.
    if (jpeg_has_multiple_scans(&jpeg_) && ended_) starved_ = true;
    refuse_if_cut();

    const int left = narrow(region, width);
    std::vector<std::uint8_t> row(static_cast<std::size_t>(jpeg_.output_width) *
                                  static_cast<std::size_t>(jpeg_.output_components));
    guarded([&] {
      if (region.y > 0) jpeg_skip_scanlines(&jpeg_, static_cast<JDIMENSION>(region.y));
      for (int y = 0; y < region.height; ++y) {
        // Whole rows need no cut and go straight to their place.
        const bool direct = jpeg_.out_color_space == JCS_RGB &&
                            static_cast<int>(jpeg_.output_width) == region.width;
        JSAMPROW target = direct ? out.row(y) : row.data();
        jpeg_read_scanlines(&jpeg_, &target, 1);
        if (!direct) convert(row.data(), left, out.row(y), region.width);
      }
    });
    refuse_if_cut_below(row);
    return orientation();
  }

 private:
  static Decoder& of(j_common_ptr jpeg) { return *static_cast<Decoder*>(jpeg->client_data); }
  static Decoder& of(j_decompress_ptr jpeg) { return *static_cast<Decoder*>(jpeg->client_data); }

  [[noreturn]] void stop(const char* reason) {
    std::snprintf(message_, sizeof message_, "%s", reason);
    std::longjmp(jump_, 1);
  }

  /// Runs libjpeg calls; what they report by longjmp becomes an exception here. `calls` must own
  /// nothing with a destructor.
  template <class Calls>
  void guarded(Calls calls) {
    if (setjmp(jump_) != 0) refuse_by_message();
    calls();
  }

  [[noreturn]] void refuse_by_message() const {
    constexpr std::array kUnsupported = {JERR_ARITH_NOTIMPL, JERR_BAD_PRECISION,
                                         JERR_CONVERSION_NOTIMPL, JERR_NOTIMPL,
                                         JERR_SOF_UNSUPPORTED};
    const std::string text = std::string("JPEG: ") + message_;
    const bool unsupported =
        failed_ && std::ranges::find(kUnsupported, errors_.msg_code) != kUnsupported.end();
    unsupported ? refuse_unsupported(name_, text) : refuse(name_, text);
  }

  /// By the first of the markers that holds EXIF data.
  int orientation() const {
    for (jpeg_saved_marker_ptr marker = jpeg_.marker_list; marker; marker = marker->next) {
      const Bytes data(marker->data, marker->data_length);
      if (const Bytes exif = without_exif_mark(data); exif.size() < data.size())
        return exif_orientation(exif);
    }
    return 1;
  }

  bool is_plain() {
    if (jpeg_.jpeg_color_space != JCS_YCbCr || jpeg_.arith_code || jpeg_.data_precision != 8 ||
        jpeg_has_multiple_scans(&jpeg_)) {
      return false;
    }
    const jpeg_component_info *luma = jpeg_.comp_info, *blue = luma + 1, *red = luma + 2;
    return luma->h_samp_factor <= 2 && luma->v_samp_factor <= 2 && blue->h_samp_factor == 1 &&
           blue->v_samp_factor == 1 && red->h_samp_factor == 1 && red->v_samp_factor == 1;
  }

  /// Reads from memory. After the end it hands out an end-of-image marker and sets `ended_`.
  void set_source(Bytes bytes) {
    source_.next_input_byte = bytes.data();
    source_.bytes_in_buffer = bytes.size();
    source_.init_source = [](j_decompress_ptr) {};
    source_.term_source = [](j_decompress_ptr) {};
    source_.resync_to_restart = jpeg_resync_to_restart;
    source_.fill_input_buffer = [](j_decompress_ptr jpeg) -> boolean {
      static const JOCTET kEnd[2] = {0xff, JPEG_EOI};
      of(jpeg).ended_ = true;
      jpeg->src->next_input_byte = kEnd;
      jpeg->src->bytes_in_buffer = 2;
      return TRUE;
    };
    source_.skip_input_data = [](j_decompress_ptr jpeg, long count) {
      if (count <= 0) return;
      auto& source = *jpeg->src;
      if (static_cast<std::size_t>(count) > source.bytes_in_buffer) {
        source.fill_input_buffer(jpeg);
        return;
      }
      source.next_input_byte += count;
      source.bytes_in_buffer -= static_cast<std::size_t>(count);
    };
    jpeg_.src = &source_;
  }

  /// Refuses a file whose data ended before its image did. A missing end marker alone is accepted.
  void refuse_if_cut() const {
    if (ended_ && starved_ && !options_.allow_truncated) {
      refuse_cut(name_, ImageFormat::kJpeg);
    }
  }

  /// So that a few bytes which claim a large picture cost no memory: with Huffman codes, a block of
  /// 8 x 8 pixels takes two bits or more.
  void refuse_if_hollow() const {
    const std::uint64_t pixels = std::uint64_t{jpeg_.image_width} * jpeg_.image_height;
    if (options_.allow_truncated) return;
    check_filled(name_, jpeg_.image_width, jpeg_.image_height, bytes_);
    if (jpeg_.progressive_mode || jpeg_.arith_code) return;
    if (pixels / 256 > bytes_) refuse_cut(name_, ImageFormat::kJpeg);
  }

  /// The same of the rows below a region. They are decoded only where no end marker follows what
  /// was read: bytes that look like one do not occur in the data of pixels.
  void refuse_if_cut_below(std::vector<std::uint8_t>& row) {
    if (!options_.allow_truncated && !ended_ && !jpeg_has_multiple_scans(&jpeg_) &&
        has_end_marker({source_.next_input_byte, source_.bytes_in_buffer})) {
      return;
    }
    if (!options_.allow_truncated && jpeg_.output_scanline < jpeg_.output_height) {
      guarded([&] {
        // Skipping to the very end would not look at the data.
        const JDIMENSION rest = jpeg_.output_height - jpeg_.output_scanline;
        if (rest > 1) jpeg_skip_scanlines(&jpeg_, rest - 1);
        JSAMPROW target = row.data();
        jpeg_read_scanlines(&jpeg_, &target, 1);
      });
    }
    refuse_if_cut();
  }

  static bool has_end_marker(Bytes bytes) {
    constexpr std::array<std::uint8_t, 2> kEnd = {0xff, JPEG_EOI};
    // Nearly always the last bytes of the file.
    if (bytes.size() >= 2 && std::ranges::equal(bytes.last(2), kEnd)) return true;
    return std::search(bytes.begin(), bytes.end(), kEnd.begin(), kEnd.end()) != bytes.end();
  }

  /// Restricts decoding to the columns of the region and their margin. Returns where the region
  /// begins in the decoded rows.
  int narrow(const Box& region, int width) {
    if (region.width + 2 * kMargin >= width) return region.x;
    const int from = std::max(0, region.x - kMargin);
    JDIMENSION offset = static_cast<JDIMENSION>(from);
    JDIMENSION count =
        static_cast<JDIMENSION>(std::min(width, region.x + region.width + kMargin) - from);
    guarded([&] { jpeg_crop_scanline(&jpeg_, &offset, &count); });
    return region.x - static_cast<int>(offset);
  }

  void convert(const std::uint8_t* row, int left, std::uint8_t* out, int width) const {
    if (jpeg_.out_color_space == JCS_RGB) {
      std::memcpy(out, row + 3 * left, 3 * static_cast<std::size_t>(width));
      return;
    }
    // Adobe stores inverted ink.
    row += 4 * left;
    for (int x = 0; x < width; ++x, row += 4, out += 3)
      ink_to_rgb(255 - row[0], 255 - row[1], 255 - row[2], 255 - row[3], out);
  }

  const std::string& name_;
  const DecodeOptions& options_;
  std::size_t bytes_;
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = "";
  bool failed_ = false;   // libjpeg gave up, for errors_.msg_code
  bool ended_ = false;    // the data ran out
  bool starved_ = false;  // pixels had to be made up
};

}  // namespace

ImageInfo jpeg_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  return Decoder(bytes, name, options).info(bytes);
}

int decode_jpeg(Bytes bytes, const std::string& name, const Box* region, Image& out,
                const DecodeOptions& options) {
  return Decoder(bytes, name, options).decode(region, out);
}

}  // namespace invp::decoders

namespace invp {

std::string jpeg_library_version() {
#define INVP_WORDS_OF(x) #x
#define INVP_WORDS(x) INVP_WORDS_OF(x)
  return INVP_WORDS(LIBJPEG_TURBO_VERSION);
}

}  // namespace invp
