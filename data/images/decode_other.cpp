// BMP, GIF and TGA by stb_image. Its authors advise against untrusted input, so the format is found
// and the size checked before it reads a file, and a file is refused if it reads past the end
// (stb_image itself would go on with zeros).
#include <cstring>
#include <memory>

#include "data/images/decoders.h"

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_BMP
#define STBI_ONLY_GIF
#define STBI_ONLY_TGA
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wunused-function"
#pragma GCC diagnostic ignored "-Wmissing-field-initializers"
#include <stb/stb_image.h>
#pragma GCC diagnostic pop

namespace invp::decoders {
namespace {

/// The bytes for stb_image's callbacks.
struct Source {
  Bytes bytes;
  std::size_t at = 0;
  bool overrun = false;

  static int read(void* user, char* target, int count) {
    auto& self = *static_cast<Source*>(user);
    const std::size_t n = std::min(static_cast<std::size_t>(count), self.bytes.size() - self.at);
    std::memcpy(target, self.bytes.data() + self.at, n);
    self.at += n;
    // stb_image asks for a whole buffer at a time. Only an empty answer means that data is missing.
    if (n == 0) self.overrun = true;
    return static_cast<int>(n);
  }
  static void skip(void* user, int count) {
    auto& self = *static_cast<Source*>(user);
    if (count < 0) {
      self.at -= std::min(self.at, static_cast<std::size_t>(-static_cast<std::int64_t>(count)));
    } else {
      self.at += std::min(self.bytes.size() - self.at, static_cast<std::size_t>(count));
    }
  }
  static int ended(void* user) {
    const auto& self = *static_cast<Source*>(user);
    return self.at >= self.bytes.size();
  }
};

constexpr stbi_io_callbacks kCallbacks{Source::read, Source::skip, Source::ended};

[[noreturn]] void refuse_stb(const std::string& name, ImageFormat format) {
  const char* reason = stbi_failure_reason();
  refuse(name, message(to_string(format), ": ", reason ? reason : "unreadable"));
}

}  // namespace

ImageInfo other_info(Bytes bytes, const std::string& name, ImageFormat format,
                     const DecodeOptions& options) {
  Source source{bytes};
  ImageInfo info{format};
  if (!stbi_info_from_callbacks(&kCallbacks, &source, &info.width, &info.height, &info.channels)) {
    refuse_stb(name, format);
  }
  check_size(name, info.width, info.height, options);
  return info;
}

void decode_other(Bytes bytes, const std::string& name, ImageFormat format, Image& out,
                  const DecodeOptions& options) {
  const ImageInfo info = other_info(bytes, name, format, options);
  Source source{bytes};
  int width = 0, height = 0, channels = 0;
  const std::unique_ptr<stbi_uc, decltype(&stbi_image_free)> pixels(
      stbi_load_from_callbacks(&kCallbacks, &source, &width, &height, &channels, 3),
      stbi_image_free);
  if (!pixels) refuse_stb(name, format);
  if (source.overrun && !options.allow_truncated) {
    refuse(name, message(to_string(format), ": the file is cut short"));
  }
  if (width != info.width || height != info.height) {
    refuse(name, message(to_string(format), ": the header contradicts itself about the size"));
  }
  out.reshape(width, height);
  std::memcpy(out.pixels.data(), pixels.get(), out.pixels.size());
}

}  // namespace invp::decoders
