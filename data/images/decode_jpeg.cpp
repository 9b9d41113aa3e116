// libjpeg-turbo in a class that frees its memory. libjpeg reports errors by longjmp. The jump ends
// in Decoder::guarded, which throws; no frame that it jumps over owns anything with a destructor.
#include <cstdio>
// jpeglib.h uses FILE without including what declares it.
#include <jpeglib.h>
// jerror.h goes on where jpeglib.h left off.
#include <jerror.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <string_view>

#include "data/images/decoders.h"

namespace invp::decoders {
namespace {

/// A progressive file made to be slow repeats scans; each is a pass over all coefficients.
constexpr int kMaxScans = 500;

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
      : name_(name), options_(options) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = [](j_common_ptr jpeg) {
      Decoder& self = of(jpeg);
      jpeg->err->format_message(jpeg, self.message_);
      std::longjmp(self.jump_, 1);
    };
    errors_.emit_message = [](j_common_ptr jpeg, int level) {
      Decoder& self = of(jpeg);
      if (level < 0 && jpeg->err->msg_code == JWRN_HIT_MARKER) self.starved_ = true;
    };
    errors_.output_message = [](j_common_ptr) {};
    progress_.progress_monitor = [](j_common_ptr jpeg) {
      if (reinterpret_cast<j_decompress_ptr>(jpeg)->input_scan_number > kMaxScans) {
        of(jpeg).stop("more than 500 scans");
      }
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
    refuse_if_cut();
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
    if (setjmp(jump_) != 0) refuse(name_, std::string("JPEG: ") + message_);
    calls();
  }

  /// By the first of the markers that holds EXIF data.
  int orientation() const {
    constexpr std::string_view kExif("Exif\0\0", 6);
    for (jpeg_saved_marker_ptr marker = jpeg_.marker_list; marker; marker = marker->next) {
      const Bytes data(marker->data, marker->data_length);
      if (data.size() >= kExif.size() && std::memcmp(data.data(), kExif.data(), kExif.size()) == 0)
        return exif_orientation(data.subspan(kExif.size()));
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
      refuse(name_, "JPEG: the file is cut short");
    }
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
    // Adobe stores inverted ink: the stored bytes are 255 - C, 255 - M, 255 - Y and 255 - K = nk.
    const auto multiply = [](int a, int b) {
      const int t = a * b + 128;
      return ((t >> 8) + t) >> 8;
    };
    row += 4 * left;
    for (int x = 0; x < width; ++x, row += 4, out += 3) {
      const int nk = row[3];
      for (int c = 0; c < 3; ++c) {
        out[c] = static_cast<std::uint8_t>(std::max(0, nk - multiply(255 - row[c], nk)));
      }
    }
  }

  const std::string& name_;
  const DecodeOptions& options_;
  jpeg_error_mgr errors_{};
  jpeg_source_mgr source_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_;
  char message_[JMSG_LENGTH_MAX] = "";
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
