// The forms that each format allows, against Pillow's pixels (tests/golden/make_pictures.py); what
// is cut, damaged or claims too much.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <map>
#include <string>
#include <vector>

#include "data/images/decode.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/core/random.h"
#include "engine/files/safetensors.h"
#include "tests/data/golden.h"

namespace invp {
namespace {

using testing::HasSubstr;
using Bytes = std::vector<std::uint8_t>;

struct Picture {
  std::string name;
  Bytes file;
  Image pixels;       ///< empty: it is refused
  std::string error;  ///< a part of the refusal
};

const std::vector<Picture>& pictures() {
  static const std::vector<Picture> all = [] {
    std::vector<Picture> list;
    const TensorFile file = read_safetensors(test::golden("pictures.safetensors"));
    std::map<std::string, Image> pixels;
    for (const auto& [name, tensor] : file.tensors) {
      if (!name.ends_with(":pixels")) continue;
      Image image(static_cast<int>(tensor.dim(1)), static_cast<int>(tensor.dim(0)));
      std::copy_n(tensor.data<std::uint8_t>(), image.pixels.size(), image.pixels.begin());
      pixels[name.substr(0, name.find(':'))] = std::move(image);
    }
    for (const auto& [name, tensor] : file.tensors) {
      if (name.ends_with(":pixels")) continue;
      const std::uint8_t* bytes = tensor.data<std::uint8_t>();
      Picture picture{.name = name, .file = {bytes, bytes + tensor.numel()}};
      if (const auto error = file.metadata.find(name); error != file.metadata.end())
        picture.error = error->second;
      else
        picture.pixels = pixels.at(name);
      list.push_back(std::move(picture));
    }
    return list;
  }();
  return all;
}

std::string refusal(const Bytes& file, const std::string& name, const DecodeOptions& options = {}) {
  try {
    decode_image(file, name, options);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Named by format, so that a failure tells where to look.
class Pictures : public testing::TestWithParam<const char*> {
 protected:
  /// Calls check(picture) for those of the format; refused ones only if asked for.
  template <class Check>
  static void for_each(bool refused, const Check& check) {
    int count = 0;
    for (const Picture& picture : pictures()) {
      if (!picture.name.starts_with(GetParam()) || picture.pixels.empty() != refused) continue;
      SCOPED_TRACE(picture.name);
      check(picture);
      ++count;
    }
    EXPECT_GT(count, refused ? 0 : 5);
  }
};

INSTANTIATE_TEST_SUITE_P(Formats, Pictures,
                         testing::Values("bmp", "gif", "tga", "tiff", "webp", "png", "jpeg"),
                         [](const auto& format) { return std::string(format.param); });

TEST_P(Pictures, HavePillowsPixels) {
  for_each(false, [](const Picture& picture) {
    Image image;
    ASSERT_NO_THROW(image = decode_image(picture.file, picture.name));
    EXPECT_EQ(image, picture.pixels);
    const ImageInfo info = read_image_info(picture.file, picture.name);
    EXPECT_EQ(info.width, image.width);
    EXPECT_EQ(info.height, image.height);
  });
}

TEST_P(Pictures, HaveRegionsThatAreCrops) {
  for_each(false, [](const Picture& picture) {
    const Image& whole = picture.pixels;
    for (const Box box : {Box{0, 0, whole.width, 1}, Box{whole.width - 1, 0, 1, whole.height},
                          Box{whole.width / 3, whole.height / 2, 3, 1}}) {
      Image part;
      ASSERT_NO_THROW(decode_region(picture.file, picture.name, box, part));
      EXPECT_EQ(part, crop(whole, box));
    }
  });
}

// No beginning of a file passes for another picture.
TEST_P(Pictures, AreWholeOrRefusedWhereverTheyAreCut) {
  for_each(false, [](const Picture& picture) {
    if (picture.file.size() > 2500) return;
    for (std::size_t length = 0; length < picture.file.size(); ++length) {
      // A copy of just this length, so that sanitizers see what is read behind it.
      const Bytes cut(picture.file.begin(), picture.file.begin() + static_cast<long>(length));
      try {
        ASSERT_EQ(decode_image(cut, "x"), picture.pixels) << length << " bytes";
      } catch (const Error&) {
      }
    }
  });
}

TEST_P(Pictures, SurviveChangedBytes) {
  Random random(11, Purpose::kBenchmark);
  for_each(false, [&](const Picture& picture) {
    for (int i = 0; i < 60; ++i) {
      Bytes file = picture.file;
      for (int change = 0; change <= i % 4; ++change) {
        // Mostly in the header.
        const std::int64_t last = std::ssize(file) - 1;
        const std::int64_t at =
            random.integer(0, i % 2 == 0 ? last : std::min<std::int64_t>(last, 80));
        file[static_cast<std::size_t>(at)] = static_cast<std::uint8_t>(random.integer(0, 255));
      }
      try {
        decode_image(file, "x", {.max_pixels = 100'000});
        read_image_info(file, "x", {.max_pixels = 100'000});
      } catch (const Error&) {
      }
    }
  });
}

TEST(PicturesThatAreRefused, AreNamedWithTheReason) {
  int unsupported = 0, broken = 0;
  for (const Picture& picture : pictures()) {
    if (!picture.pixels.empty()) continue;
    SCOPED_TRACE(picture.name);
    const std::string error = refusal(picture.file, picture.name + ".img");
    EXPECT_THAT(error, HasSubstr(picture.name + ".img: "));
    EXPECT_THAT(error, HasSubstr(picture.error));
    EXPECT_THAT(error, testing::Not(HasSubstr("\n")));
    try {
      decode_image(picture.file, "x");
      ADD_FAILURE();
    } catch (const UnsupportedPicture& other) {
      ++unsupported;
      EXPECT_THAT(other.what(), testing::AnyOf(HasSubstr("is not supported: convert the picture"),
                                               HasSubstr("--max-pixels")));
    } catch (const Error& other) {
      ++broken;
      EXPECT_THAT(other.what(), testing::Not(HasSubstr("is not supported")));
    }
  }
  EXPECT_GT(unsupported, 30);
  EXPECT_GT(broken, 10);
}

// The signature at the end of a file says TGA, whatever the type in its header is.
TEST(PicturesThatAreRefused, AreTgasOfEveryUnknownType) {
  const auto known = std::ranges::find(pictures(), "tga-top-left", &Picture::name);
  ASSERT_NE(known, pictures().end());
  constexpr std::string_view kSignature("TRUEVISION-XFILE.\0", 18);
  int refused = 0;
  for (int type = 0; type < 256; ++type) {
    Bytes file = known->file;
    file[2] = static_cast<std::uint8_t>(type);
    file.insert(file.end(), kSignature.begin(), kSignature.end());
    const std::string error = refusal(file, "x");
    if (error.find("TGA: image type " + std::to_string(type) + " with") != std::string::npos)
      ++refused;
  }
  EXPECT_GE(refused, 128);
}

/// One strip of 9,000 x 9,000 pixels, packed into four bytes.
Bytes hollow_tiff() {
  Bytes file = {'I', 'I', 42, 0, 8, 0, 0, 0};
  const auto put = [&](std::uint32_t value, int bytes) {
    for (int i = 0; i < bytes; ++i) file.push_back(static_cast<std::uint8_t>(value >> (8 * i)));
  };
  constexpr std::uint32_t kTags[][2] = {{256, 9000}, {257, 9000}, {258, 8},    {259, 8}, {262, 2},
                                        {273, 200},  {277, 3},    {278, 9000}, {279, 4}};
  put(std::size(kTags), 2);
  for (const auto& [tag, value] : kTags) {
    put(tag, 2);
    put(4, 2);  // a number of 32 bits
    put(1, 4);
    put(value, 4);
  }
  put(0, 4);
  file.resize(200);
  put(0x63605d78, 4);
  return file;
}

/// The header of a picture of 9,000 x 9,000, and little behind it.
std::vector<Bytes> hollow_pictures() {
  std::vector<Bytes> files;
  const auto patched = [&](const char* name, std::size_t at, const Bytes& bytes, std::size_t keep) {
    for (const Picture& picture : pictures()) {
      if (picture.name != name) continue;
      files.push_back(picture.file);
      std::ranges::copy(bytes, files.back().begin() + static_cast<long>(at));
      files.back().resize(std::min(keep, files.back().size()));
    }
  };
  patched("bmp-header-40", 18, {0x28, 0x23, 0, 0, 0x28, 0x23, 0, 0}, 9999);
  patched("bmp-rle8", 18, {0x28, 0x23, 0, 0, 0x28, 0x23, 0, 0}, 9999);
  patched("tga-top-left", 12, {0x28, 0x23, 0x28, 0x23}, 9999);
  patched("tga-rle-top-left", 12, {0x28, 0x23, 0x28, 0x23}, 9999);
  patched("png-rgb16", 16, {0, 0, 0x23, 0x28, 0, 0, 0x23, 0x28}, 9999);
  patched("tiff-mm-rgb", 0, {}, 9999);
  files.push_back(hollow_tiff());
  for (const char* text :
       {"P6 9000 9000 255\n", "P5 9000 9000 65535\n", "P3 9000 9000 255 1 2 3", "P4 9000 9000\n"})
    files.emplace_back(text, text + std::string_view(text).size());
  using namespace std::string_view_literals;
  const std::string_view gif =
      "GIF89a\x28\x23\x28\x23\0\0\0,\0\0\0\0\x28\x23\x28\x23\0\x02\x02\x4c\x01\0;"sv;
  files.emplace_back(gif.begin(), gif.end());
  // A canvas for an animation, and a frame of one pixel.
  const std::string_view webp =
      "RIFF\x36\0\0\0WEBPVP8X\x0a\0\0\0\x02\0\0\0\x27\x23\0\x27\x23\0"
      "ANIM\x06\0\0\0\0\0\0\0\0\0ANMF\x10\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"sv;
  files.emplace_back(webp.begin(), webp.end());
  return files;
}

std::int64_t peak_bytes() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return std::int64_t{usage.ru_maxrss} * 1024;
}

// In a process of its own: the peak of this one may lie above what is looked for.
TEST(PicturesThatAreRefused, TakeNoMemory) {
  const auto growth_is_small = [] {
    std::vector<Bytes> files = hollow_pictures();
    for (const Picture& picture : pictures()) {
      if (picture.pixels.empty()) files.push_back(picture.file);
    }
    const std::int64_t before = peak_bytes();
    for (const Bytes& file : files) {
      for (const bool orientation : {false, true}) {
        try {
          decode_image(file, "x", {.apply_orientation = orientation});
        } catch (const Error&) {
        }
      }
    }
    return peak_bytes() - before < 64'000'000;
  };
  EXPECT_EXIT(std::exit(growth_is_small() ? 0 : 1), testing::ExitedWithCode(0), "");
}

TEST(PictureOptions, ManyPixelsAreRefusedByTheHeader) {
  for (const char* name : {"bmp-header-40", "gif", "tga-top-left", "tiff-ii-rgb", "webp-lossy",
                           "webp-animated", "png-rgb16", "jpeg-0-false"}) {
    SCOPED_TRACE(name);
    const auto found = std::ranges::find(pictures(), name, &Picture::name);
    ASSERT_NE(found, pictures().end());
    EXPECT_EQ(refusal(found->file, "x", {.max_pixels = 19 * 13}), "no error");
    EXPECT_THAT(
        refusal(found->file, "x", {.max_pixels = 19 * 13 - 1}),
        HasSubstr("19 x 13 pixels, more than the 246 allowed; --max-pixels raises the limit"));
  }
}

TEST(PictureOptions, AnOrientationIsAppliedWhenAskedFor) {
  const auto found = std::ranges::find(pictures(), "webp-metadata", &Picture::name);
  ASSERT_NE(found, pictures().end());
  const Image upright = decode_image(found->file, "x", {.apply_orientation = true});
  EXPECT_EQ(upright.width, found->pixels.height);
  EXPECT_TRUE(std::equal(upright.at(upright.width - 1, 0), upright.at(upright.width - 1, 0) + 3,
                         found->pixels.at(0, 0)));  // 6: turned to the right
}

}  // namespace
}  // namespace invp
