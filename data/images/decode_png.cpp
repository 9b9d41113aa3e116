// libpng in a class that frees its memory. Its errors arrive by longjmp, as in decode_jpeg.cpp.
#include <png.h>

#include <csetjmp>
#include <cstdio>
#include <cstring>

#include "data/images/decoders.h"

namespace invp::decoders {
namespace {

/// Of the chunks that are read; those of pixels go by without a copy.
constexpr png_alloc_size_t kMaxChunkBytes = 1 << 20;
/// Deflate's best: 258 bytes from 2 bits.
constexpr std::uint64_t kMaxInflation = 1032;

/// The chunk's name and the zero that libpng expects after it.
constexpr png_byte kExif[] = {'e', 'X', 'I', 'f', 0};

/// Freed also when the Decoder's constructor throws.
struct Handle {
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  ~Handle() { png_destroy_read_struct(&png_, &info_, nullptr); }
};

class Decoder : private Handle {
 public:
  Decoder(Bytes bytes, const std::string& name, const DecodeOptions& options)
      : name_(name), rest_(bytes), size_(bytes.size()) {
    png_ = png_create_read_struct(
        PNG_LIBPNG_VER_STRING, this,
        [](png_structp png, png_const_charp text) {
          auto& self = *static_cast<Decoder*>(png_get_error_ptr(png));
          std::snprintf(self.message_, sizeof self.message_, "%s", text);
          std::longjmp(self.jump_, 1);
        },
        [](png_structp, png_const_charp) {});
    info_ = png_ ? png_create_info_struct(png_) : nullptr;
    CHECK(info_, "[decode] ", name, ": PNG: out of memory");
    read_header(options);
  }
  Decoder(const Decoder&) = delete;
  Decoder& operator=(const Decoder&) = delete;

  ImageInfo info() const {
    const int stored = png_get_channels(png_, info_);
    const bool palette = png_get_color_type(png_, info_) == PNG_COLOR_TYPE_PALETTE;
    return {ImageFormat::kPng, width_, height_, palette ? 3 : stored};
  }

  int decode(const Box* wanted, Image& out, const DecodeOptions& options) {
    const Box region = wanted ? *wanted : Box{0, 0, width_, height_};
    check_region(name_, region, width_, height_);
    int passes = 1;
    guarded([&] { passes = ask_for_rgb(); });
    out.reshape(region.width, region.height);
    if (region.width == width_ && (passes == 1 || region.height == height_)) {
      read_whole_rows(region, passes, out);
    } else {
      read_and_cut(region, passes, out);
    }
    return options.apply_orientation ? orientation() : 1;
  }

 private:
  void read_header(const DecodeOptions& options) {
    guarded([&] {
      png_set_read_fn(png_, this, [](png_structp png, png_bytep target, std::size_t count) {
        auto& self = *static_cast<Decoder*>(png_get_io_ptr(png));
        if (count > self.rest_.size()) png_error(png, "the file is cut short");
        std::memcpy(target, self.rest_.data(), count);
        self.rest_ = self.rest_.subspan(count);
      });
      // check_size is the limit, with a clearer message than libpng's own.
      png_set_user_limits(png_, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
      png_set_chunk_malloc_max(png_, kMaxChunkBytes);
      // Texts and profiles may inflate to any size, and none is used here.
      png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_NEVER, nullptr, -1);
      // As an unknown chunk: libpng's reader of this one does not obey the limit.
      if (options.apply_orientation)
        png_set_keep_unknown_chunks(png_, PNG_HANDLE_CHUNK_ALWAYS, kExif, 1);
      png_read_info(png_, info_);
    });
    const std::int64_t width = png_get_image_width(png_, info_);
    const std::int64_t height = png_get_image_height(png_, info_);
    check_size(name_, width, height, options);
    // So that a few bytes which claim a large picture cost no memory.
    check_filled(name_, width, height, size_);
    const std::uint64_t stored = png_get_rowbytes(png_, info_) * static_cast<std::uint64_t>(height);
    if (stored / kMaxInflation > size_) refuse_cut(name_, ImageFormat::kPng);
    width_ = static_cast<int>(width);
    height_ = static_cast<int>(height);
  }

  /// Has libpng deliver 8-bit RGB; returns the number of passes over the rows.
  int ask_for_rgb() {
    const int color = png_get_color_type(png_, info_);
    const int depth = png_get_bit_depth(png_, info_);
    if (color == PNG_COLOR_TYPE_PALETTE) png_set_palette_to_rgb(png_);
    if (color == PNG_COLOR_TYPE_GRAY && depth < 8) png_set_expand_gray_1_2_4_to_8(png_);
    if (depth == 16 && color == PNG_COLOR_TYPE_GRAY) png_set_scale_16(png_);
    if (depth == 16 && color != PNG_COLOR_TYPE_GRAY) png_set_strip_16(png_);
    if ((color & PNG_COLOR_MASK_COLOR) == 0) png_set_gray_to_rgb(png_);
    // A palette's transparency becomes an alpha channel in palette_to_rgb, so this comes always.
    png_set_strip_alpha(png_);
    const int passes = png_set_interlace_handling(png_);
    png_read_update_info(png_, info_);
    if (png_get_rowbytes(png_, info_) != static_cast<std::size_t>(width_) * 3) {
      png_error(png_, "unexpected row size");
    }
    return passes;
  }

  void read_whole_rows(const Box& region, int passes, Image& out) {
    guarded([&] {
      for (int pass = 0; pass < passes; ++pass) {
        std::uint8_t* scratch = out.row(0);  // a row above the region is read and overwritten
        for (int y = 0; y < region.y; ++y) png_read_row(png_, scratch, nullptr);
        for (int y = 0; y < region.height; ++y) png_read_row(png_, out.row(y), nullptr);
      }
    });
  }

  /// Interlaced rows are completed pass by pass, so all of them are kept until the last pass.
  void read_and_cut(const Box& region, int passes, Image& out) {
    const std::size_t row_bytes = static_cast<std::size_t>(width_) * 3;
    const int last = region.y + region.height;
    std::vector<std::uint8_t> rows(row_bytes * static_cast<std::size_t>(passes == 1 ? 1 : height_));
    const auto row = [&](int y) {
      return rows.data() + (passes == 1 ? 0 : row_bytes * static_cast<std::size_t>(y));
    };
    guarded([&] {
      for (int pass = 0; pass < passes; ++pass) {
        for (int y = 0; y < (passes == 1 ? last : height_); ++y) {
          png_read_row(png_, row(y), nullptr);
          if (pass == passes - 1 && y >= region.y && y < last) {
            std::memcpy(out.row(y - region.y), row(y) + static_cast<std::size_t>(region.x) * 3,
                        out.stride());
          }
        }
      }
    });
  }

  /// EXIF data may stand after the pixels. Damage there harms nothing.
  int orientation() {
    if (setjmp(jump_) == 0) png_read_end(png_, info_);
    png_unknown_chunkp chunks = nullptr;  // only kExif is kept
    const int count = png_get_unknown_chunks(png_, info_, &chunks);
    return count > 0 ? exif_orientation({chunks[0].data, chunks[0].size}) : 1;
  }

  /// As in decode_jpeg.cpp: `calls` must own nothing with a destructor.
  template <class Calls>
  void guarded(Calls calls) {
    if (setjmp(jump_) != 0) refuse(name_, std::string("PNG: ") + message_);
    calls();
  }

  const std::string& name_;
  Bytes rest_;
  std::size_t size_;
  int width_ = 0, height_ = 0;
  std::jmp_buf jump_;
  char message_[128] = "";
};

}  // namespace

ImageInfo png_info(Bytes bytes, const std::string& name, const DecodeOptions& options) {
  return Decoder(bytes, name, options).info();
}

int decode_png(Bytes bytes, const std::string& name, const Box* region, Image& out,
               const DecodeOptions& options) {
  return Decoder(bytes, name, options).decode(region, out, options);
}

}  // namespace invp::decoders
