// EXIF's orientation in JPEG and PNG files, whole and broken.
#include <gtest/gtest.h>
#include <zlib.h>

#include <array>

#include "data/images/decode.h"
#include "data/images/encode.h"
#include "tests/data/golden.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using Bytes = std::vector<std::uint8_t>;

void append(Bytes& to, const Bytes& more) {
  to.insert(to.end(), more.begin(), more.end());
}

/// `count` bytes of a number in the byte order of a block.
Bytes number(std::uint64_t value, int count, bool big_endian) {
  Bytes bytes;
  for (int i = 0; i < count; ++i) {
    const int shift = 8 * (big_endian ? count - 1 - i : i);
    bytes.push_back(static_cast<std::uint8_t>(value >> shift));
  }
  return bytes;
}

/// An entry of a TIFF directory.
struct Entry {
  std::uint64_t tag = 0x0112, type = 3, count = 1, value = 1;
};

Bytes tiff(bool big_endian, const std::vector<Entry>& entries, std::uint64_t directory = 8) {
  Bytes block = big_endian ? Bytes{'M', 'M', 0, 42} : Bytes{'I', 'I', 42, 0};
  const auto add = [&](std::uint64_t value, int count) {
    append(block, number(value, count, big_endian));
  };
  add(directory, 4);
  add(entries.size(), 2);
  for (const Entry& entry : entries) {
    add(entry.tag, 2);
    add(entry.type, 2);
    add(entry.count, 4);
    add(entry.value, entry.type == 3 ? 2 : 4);
    if (entry.type == 3) add(0, 2);
  }
  add(0, 4);  // no other directory
  return block;
}

Bytes tiff(bool big_endian, int orientation) {
  // Camera models come before, resolutions after.
  return tiff(big_endian, {{.tag = 0x010f, .type = 2, .count = 4, .value = 0x01120003},
                           {.value = static_cast<std::uint64_t>(orientation)},
                           {.tag = 0x0128, .value = 2}});
}

/// 3 x 2 pixels of different brightness, each of the six a block of 16 x 16, so that a JPEG keeps
/// them apart.
constexpr int kBlock = 16;
Image stored() {
  Image image(3 * kBlock, 2 * kBlock);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < image.width; ++x) {
      const int level = 40 * (3 * (y / kBlock) + x / kBlock);
      for (int c = 0; c < 3; ++c) image.at(x, y)[c] = static_cast<std::uint8_t>(level);
    }
  }
  return image;
}

/// A segment after the start of image.
Bytes jpeg_with(const Bytes& data, std::uint8_t marker = 0xe1, Bytes file = encode_jpeg(stored())) {
  Bytes segment = {0xff, marker};
  append(segment, number(data.size() + 2, 2, true));
  append(segment, data);
  file.insert(file.begin() + 2, segment.begin(), segment.end());
  return file;
}

Bytes exif_segment(const Bytes& block) {
  Bytes data = {'E', 'x', 'i', 'f', 0, 0};
  append(data, block);
  return data;
}

/// A chunk before the pixels (after the header) or after them (before the end).
Bytes png_with(const Bytes& block, bool after_pixels = false) {
  Bytes chunk = number(block.size(), 4, true);
  Bytes checked = {'e', 'X', 'I', 'f'};
  append(checked, block);
  append(chunk, checked);
  append(chunk, number(crc32(0, checked.data(), static_cast<uInt>(checked.size())), 4, true));
  Bytes file = encode_png(stored());
  file.insert(after_pixels ? file.end() - 12 : file.begin() + 33, chunk.begin(), chunk.end());
  return file;
}

/// The blocks' numbers, row by row, of the image turned upright.
std::vector<int> blocks_of(const Bytes& file) {
  const Image image = decode_image(file, "x", {.apply_orientation = true});
  std::vector<int> blocks = {image.width / kBlock};
  for (int y = kBlock / 2; y < image.height; y += kBlock) {
    for (int x = kBlock / 2; x < image.width; x += kBlock)
      blocks.push_back((image.at(x, y)[0] + 20) / 40);
  }
  return blocks;
}

/// Width and blocks of each orientation: TIFF 6.0 names the edges of the displayed image that row 0
/// and column 0 of the stored one are (1: top left, 2: top right, 3: bottom right, 4: bottom left,
/// 5: left top, 6: right top, 7: right bottom, 8: left bottom).
const std::array<std::vector<int>, 9> kShown = {{{},
                                                 {3, 0, 1, 2, 3, 4, 5},
                                                 {3, 2, 1, 0, 5, 4, 3},
                                                 {3, 5, 4, 3, 2, 1, 0},
                                                 {3, 3, 4, 5, 0, 1, 2},
                                                 {2, 0, 3, 1, 4, 2, 5},
                                                 {2, 3, 0, 4, 1, 5, 2},
                                                 {2, 5, 2, 4, 1, 3, 0},
                                                 {2, 2, 5, 1, 4, 0, 3}}};

TEST(Exif, TurnsEveryOrientationOfBothByteOrdersUpright) {
  for (int orientation = 1; orientation <= 8; ++orientation) {
    const std::vector<int>& shown = kShown.at(static_cast<std::size_t>(orientation));
    for (const bool big_endian : {false, true}) {
      const Bytes block = tiff(big_endian, orientation);
      EXPECT_EQ(blocks_of(jpeg_with(exif_segment(block))), shown) << orientation;
      EXPECT_EQ(blocks_of(png_with(block)), shown) << orientation;
      EXPECT_EQ(blocks_of(png_with(block, true)), shown) << orientation << " after the pixels";
    }
  }
}

TEST(Exif, IsLeftAloneUnlessAskedFor) {
  const Bytes block = tiff(false, 6);
  EXPECT_EQ(decode_image(png_with(block), "x"), stored());
  EXPECT_EQ(decode_image(jpeg_with(exif_segment(block)), "x").width, 3 * kBlock);
  EXPECT_EQ(blocks_of(encode_png(stored())), kShown[1]);
  EXPECT_EQ(blocks_of(encode_jpeg(stored())), kShown[1]);
}

TEST(Exif, ReadsWhatPillowWrote) {
  const Bytes bytes = read_file_bytes(testing::golden("images/turned.jpg"));
  const Image before = decode_image(bytes, "x");
  const Image upright = decode_image(bytes, "x", {.apply_orientation = true});
  ASSERT_EQ(upright.width, before.height);
  ASSERT_EQ(upright.height, before.width);
  // 6: column 0 of the stored image, from its bottom up, is the top row.
  for (int x = 0; x < upright.width; ++x)
    EXPECT_EQ(upright.at(x, 0)[0], before.at(0, before.height - 1 - x)[0]);
}

/// As a PNG's block and as a JPEG's.
void expect_shown(const Bytes& block, int orientation, const std::string& what) {
  const std::vector<int>& shown = kShown.at(static_cast<std::size_t>(orientation));
  EXPECT_EQ(blocks_of(jpeg_with(exif_segment(block))), shown) << what;
  EXPECT_EQ(blocks_of(png_with(block)), shown) << what;
}

TEST(Exif, ACutBlockIsUprightOrTurnedAsTheWholeOne) {
  for (const bool big_endian : {false, true}) {
    const Bytes block = tiff(big_endian, 6);
    // The second entry's value ends at 8 + 2 + 12 + 10.
    for (std::size_t length = 0; length < block.size(); ++length) {
      expect_shown({block.begin(), block.begin() + static_cast<std::ptrdiff_t>(length)},
                   length < 32 ? 1 : 6, "cut to " + std::to_string(length));
    }
  }
}

TEST(Exif, AbsurdNumbersAreUpright) {
  for (const bool big_endian : {false, true}) {
    for (const std::uint64_t value : {0, 9, 256, 0x0600, 0xffff})
      expect_shown(tiff(big_endian, {{.value = value}}), 1, "value " + std::to_string(value));
    for (const std::uint64_t at :
         {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{7}, std::uint64_t{21},
          std::uint64_t{25}, std::uint64_t{26}, std::uint64_t{1000}, std::uint64_t{0x7fffffff},
          std::uint64_t{0x80000000}, std::uint64_t{0xffffffff}})
      expect_shown(tiff(big_endian, {{.value = 6}}, at), 1, "directory at " + std::to_string(at));
    expect_shown(tiff(big_endian, {{.type = 4, .value = 6}}), 1, "of another type");
    expect_shown(tiff(big_endian, {{.tag = 0x0113, .value = 6}}), 1, "of another tag");
    expect_shown(tiff(big_endian, {}), 1, "no entries");
    // More entries than there are: those that are there count.
    Bytes many = tiff(big_endian, {{.tag = 0x010f, .value = 3}, {.value = 8}});
    many[8] = many[9] = 0xff;
    expect_shown(many, 8, "65535 entries");
    Bytes none = tiff(big_endian, {{.tag = 0x010f, .value = 3}});
    none[8] = none[9] = 0xff;
    expect_shown(none, 1, "65535 entries, none of them the tag");
  }
}

TEST(Exif, IsFoundAmongOtherSegments) {
  const Bytes other = {'h', 't', 't', 'p', ':', '/', '/', 'n', 's', 0};
  const Bytes exif = exif_segment(tiff(true, 8));
  EXPECT_EQ(blocks_of(jpeg_with(other, 0xe1, jpeg_with(exif))), kShown[8]) << "XMP before it";
  EXPECT_EQ(blocks_of(jpeg_with(other, 0xfe, jpeg_with(exif))), kShown[8]) << "a comment before it";
  EXPECT_EQ(blocks_of(jpeg_with(exif, 0xe1, jpeg_with(exif_segment(tiff(false, 2))))), kShown[8])
      << "the first of two";
  EXPECT_EQ(blocks_of(jpeg_with(exif, 0xe2)), kShown[1]) << "in a segment of another kind";
  EXPECT_EQ(blocks_of(jpeg_with({'E', 'x', 'i', 'f'})), kShown[1]) << "nothing but the name";
  EXPECT_EQ(blocks_of(jpeg_with({})), kShown[1]);
}

TEST(Exif, DamageAfterAPngsPixelsHarmsNothing) {
  const Bytes whole = png_with(tiff(false, 6), true);
  const std::size_t chunk = 12 + tiff(false, 6).size();
  for (std::size_t missing = 1; missing < 12 + chunk; ++missing) {
    const Bytes cut(whole.begin(), whole.end() - static_cast<std::ptrdiff_t>(missing));
    EXPECT_EQ(blocks_of(cut), kShown[missing <= 12 ? 6 : 1]) << missing;
  }
}

}  // namespace
}  // namespace invp
