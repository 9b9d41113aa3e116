#include "data/images/decode.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "data/images/encode.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "tests/data/golden.h"

namespace invp {
namespace {

using test::golden;
using test::photo_like;
using testing::HasSubstr;

std::string error_of(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

// Pillow's pixels of odd files, and clear refusals of broken ones.
TEST(Decode, GivesPillowsPixelsOrAClearReason) {
  const auto rows = test::read_table(golden("images/expected.tsv"));
  ASSERT_GT(rows.size(), 25u);
  for (const auto& row : rows) {
    SCOPED_TRACE(row[0]);
    const auto path = golden("images/" + row[0]);
    if (row[1] == "!") {
      const std::string error = error_of([&] { load_image(path); });
      EXPECT_THAT(error, HasSubstr(row[0]));
      EXPECT_THAT(error, HasSubstr(row[2]));
      EXPECT_THAT(error, testing::Not(HasSubstr("\n")));
      continue;
    }
    const Image expected = load_image(golden("images/" + row[1]));
    EXPECT_EQ(load_image(path), expected);
    const auto info = read_image_info(read_file_bytes(path), row[0]);
    EXPECT_EQ(info.width, expected.width);
    EXPECT_EQ(info.height, expected.height);
  }
}

TEST(Decode, ReportsFormatAndChannelsByContent) {
  const auto info = [](const char* name) {
    return read_image_info(read_file_bytes(golden(std::string("images/") + name)), name);
  };
  EXPECT_EQ(info("png-named.jpg").format, ImageFormat::kPng);
  EXPECT_EQ(info("jpeg-named.png").format, ImageFormat::kJpeg);
  EXPECT_EQ(info("colors.gif").format, ImageFormat::kGif);
  EXPECT_EQ(info("colors.bmp").format, ImageFormat::kBmp);
  EXPECT_EQ(info("colors.ppm").format, ImageFormat::kPnm);
  EXPECT_EQ(info("cmyk.jpg").channels, 4);
  EXPECT_EQ(info("gray.jpg").channels, 1);
  EXPECT_EQ(info("palette.png").channels, 3);
  EXPECT_EQ(info("gray-alpha.png").channels, 2);
}

TEST(Decode, ARegionIsTheCropOfTheWhole) {
  Random random(5, Purpose::kBenchmark);
  for (const auto sampling : {Subsampling::k444, Subsampling::k422, Subsampling::k440,
                              Subsampling::k420, Subsampling::k411, Subsampling::kGray}) {
    for (const bool progressive : {false, true}) {
      const auto bytes = encode_jpeg(photo_like(203, 157, 3),
                                     {.subsampling = sampling, .progressive = progressive});
      const Image whole = decode_image(bytes, "x");
      for (int i = 0; i < 120; ++i) {
        Box box;
        box.width = static_cast<int>(random.integer(1, whole.width));
        box.height = static_cast<int>(random.integer(1, whole.height));
        box.x = static_cast<int>(random.integer(0, whole.width - box.width));
        box.y = static_cast<int>(random.integer(0, whole.height - box.height));
        Image part;
        decode_region(bytes, "x", box, part);
        ASSERT_EQ(part, crop(whole, box))
            << "sampling " << static_cast<int>(sampling) << " progressive " << progressive
            << " box " << box.x << "," << box.y << " " << box.width << "x" << box.height;
      }
    }
  }
}

TEST(Decode, ARegionOfOtherFormatsToo) {
  for (const char* name : {"cmyk.jpg", "palette.png", "alpha.png", "colors.bmp", "colors.gif"}) {
    SCOPED_TRACE(name);
    const auto bytes = read_file_bytes(golden(std::string("images/") + name));
    const Image whole = decode_image(bytes, name);
    for (const Box box :
         {Box{0, 0, 23, 17}, Box{3, 2, 7, 9}, Box{0, 5, 23, 4}, Box{22, 16, 1, 1}}) {
      Image part;
      decode_region(bytes, name, box, part);
      EXPECT_EQ(part, crop(whole, box));
    }
  }
}

TEST(Decode, RefusesARegionOutside) {
  const auto bytes = encode_jpeg(photo_like(20, 10, 1));
  Image part;
  for (const Box box : {Box{-1, 0, 5, 5}, Box{0, 0, 21, 5}, Box{16, 0, 5, 5}, Box{0, 8, 5, 3},
                        Box{0, 0, 0, 5}, Box{2147483647, 0, 2, 2}}) {
    EXPECT_THROW(decode_region(bytes, "x", box, part), Error);
  }
}

TEST(Decode, ScalesInsideTheTransform) {
  // Color constant within each 8 x 8 block, which every such transform maps to itself.
  const Image colors = photo_like(12, 8, 2);
  Image image(96, 64);
  for (int y = 0; y < 64; ++y) {
    for (int x = 0; x < 96; ++x) std::copy_n(colors.at(x / 8, y / 8), 3, image.at(x, y));
  }
  const auto bytes = encode_jpeg(image, {.quality = 100, .subsampling = Subsampling::k444});
  for (const int denominator : {2, 4, 8}) {
    const Image small = decode_image(bytes, "x", {.scale_denominator = denominator});
    ASSERT_EQ(small.width, 96 / denominator);
    ASSERT_EQ(small.height, 64 / denominator);
    for (int y = 0; y < small.height; ++y) {
      for (int x = 0; x < small.width; ++x) {
        for (int c = 0; c < 3; ++c) {
          const int block_x = x * denominator / 8;
          const int block_y = y * denominator / 8;
          ASSERT_NEAR(small.at(x, y)[c], colors.at(block_x, block_y)[c], 4);
        }
      }
    }
  }
  const auto odd = encode_jpeg(photo_like(101, 67, 2));
  EXPECT_EQ(decode_image(odd, "x", {.scale_denominator = 8}).width, scaled_side(101, 8));
  EXPECT_EQ(scaled_side(101, 8), 13);
  EXPECT_THAT(error_of([&] { decode_image(bytes, "x", {.scale_denominator = 3}); }),
              HasSubstr("1, 2, 4 or 8, got 3"));
}

TEST(Decode, FillsACutFileOnlyWhenAsked) {
  const Image image = photo_like(96, 96, 2);
  for (const bool progressive : {false, true}) {
    auto bytes = encode_jpeg(image, {.progressive = progressive});
    const Image whole = decode_image(bytes, "x");
    bytes.resize(bytes.size() / 2);
    EXPECT_THAT(error_of([&] { decode_image(bytes, "a.jpg"); }),
                HasSubstr("a.jpg: JPEG: the file is cut short"));
    const Image part = decode_image(bytes, "x", {.allow_truncated = true});
    ASSERT_EQ(part.height, 96);
    if (!progressive) {
      EXPECT_EQ(crop(part, {0, 0, 96, 16}), crop(whole, {0, 0, 96, 16}));
      EXPECT_EQ(part.at(95, 95)[0], part.at(95, 95)[1]);  // gray
    }
  }
  auto bytes = encode_jpeg(image);
  const Image whole = decode_image(bytes, "x");
  bytes.resize(bytes.size() - 2);  // only the end marker
  EXPECT_EQ(decode_image(bytes, "x"), whole);
}

// Whichever rows a crop needs: a file is whole for all of them or for none.
TEST(Decode, FindsACutFileWhicheverRowsAreWanted) {
  const Image image = photo_like(120, 200, 4);
  for (const bool progressive : {false, true}) {
    for (const auto sampling : {Subsampling::k444, Subsampling::k420, Subsampling::kGray}) {
      const auto bytes = encode_jpeg(image, {.subsampling = sampling, .progressive = progressive});
      const Image whole = decode_image(bytes, "x");
      int accepted = 0;
      for (std::size_t length = 700; length <= bytes.size(); length += 397) {
        if (length + 397 > bytes.size()) length = bytes.size() - 2;  // the last: no end marker
        const std::span cut = std::span(bytes).first(length);
        const bool is_whole = error_of([&] { decode_image(cut, "x"); }) == "no error";
        accepted += is_whole;
        for (const Box box : {Box{0, 0, 120, 1}, Box{30, 0, 40, 20}, Box{5, 90, 100, 30},
                              Box{0, 199, 120, 1}, Box{0, 0, 120, 199}}) {
          Image part;
          const std::string error = error_of([&] { decode_region(cut, "x", box, part); });
          ASSERT_EQ(error == "no error", is_whole) << length << " of " << bytes.size() << error;
          if (is_whole) {
            EXPECT_EQ(part, crop(whole, box));
          }
        }
        if (length == bytes.size() - 2) break;
      }
      // Only the end marker may be missing; a progressive file may go on behind any scan.
      EXPECT_EQ(accepted, progressive ? 0 : 1);
    }
  }
}

TEST(Decode, BytesBehindAJpegChangeNothing) {
  auto bytes = encode_jpeg(photo_like(60, 80, 4));
  const Image whole = decode_image(bytes, "x");
  bytes.insert(bytes.end(), 500, 7);
  Image part;
  decode_region(bytes, "x", {0, 0, 60, 8}, part);
  EXPECT_EQ(part, crop(whole, {0, 0, 60, 8}));
}

// No prefix of a file may crash the decoder, and none may be taken for the whole.
TEST(Decode, SurvivesEveryPrefixAndManyFlips) {
  const Image image = photo_like(40, 30, 2);
  const std::vector<std::vector<std::uint8_t>> files = {
      encode_jpeg(image), encode_jpeg(image, {.progressive = true}), encode_png(image),
      read_file_bytes(golden("images/colors.gif")), read_file_bytes(golden("images/colors.bmp"))};
  Random random(3, Purpose::kBenchmark);
  for (const auto& file : files) {
    int refused = 0;
    for (std::size_t n = 0; n < file.size(); n += 7) {
      try {
        decode_image(std::span(file).first(n), "x");
      } catch (const Error&) {
        ++refused;
      }
    }
    EXPECT_GT(refused, static_cast<int>(file.size() / 7 * 9 / 10));
    for (int i = 0; i < 300; ++i) {
      auto flipped = file;
      flipped[static_cast<std::size_t>(
          random.integer(0, static_cast<std::int64_t>(file.size()) - 1))] ^=
          static_cast<std::uint8_t>(random.integer(1, 255));
      try {
        decode_image(flipped, "x", {.max_pixels = 1'000'000});
      } catch (const Error&) {
      }
    }
  }
}

TEST(Decode, RefusesMorePixelsThanAllowed) {
  const Image image = photo_like(40, 30, 1);
  const auto ppm = read_file_bytes(golden("images/colors.ppm"));
  EXPECT_THROW(decode_image(ppm, "x", {.max_pixels = 390}), Error);
  EXPECT_NO_THROW(decode_image(ppm, "x", {.max_pixels = 391}));
  for (const auto& bytes : {encode_jpeg(image), encode_png(image)}) {
    EXPECT_NO_THROW(decode_image(bytes, "x", {.max_pixels = 1200}));
    EXPECT_THAT(error_of([&] { decode_image(bytes, "big.jpg", {.max_pixels = 1199}); }),
                HasSubstr("big.jpg: the header claims 40 x 30 pixels, more than the 1199 allowed"));
  }
}

// Each scan is a pass over all pixels.
TEST(Decode, ScansHaveAnEnd) {
  const auto whole = encode_jpeg(photo_like(64, 48, 1), {.progressive = true});
  const std::array<std::uint8_t, 2> mark = {0xff, 0xda};
  const auto last = std::find_end(whole.begin(), whole.end(), mark.begin(), mark.end());
  ASSERT_NE(last, whole.end());
  const std::vector<std::uint8_t> scan(last, whole.end() - 2);
  const auto with_scans = [&](int more) {
    std::vector<std::uint8_t> bytes(whole.begin(), whole.end() - 2);
    for (int i = 0; i < more; ++i) bytes.insert(bytes.end(), scan.begin(), scan.end());
    bytes.insert(bytes.end(), {0xff, 0xd9});
    return bytes;
  };
  EXPECT_NO_THROW(decode_image(with_scans(5), "x"));
  EXPECT_THAT(error_of([&] { decode_image(with_scans(600), "slow.jpg"); }),
              HasSubstr("slow.jpg: JPEG: more scans than any encoder makes"));
}

TEST(Encode, PngKeepsEveryPixel) {
  const Image image = test::noise(37, 21, 1);
  EXPECT_EQ(decode_image(encode_png(image), "x"), image);
  const Image whole = test::noise(30, 20, 2);
  const Box box{3, 4, 11, 9};
  EXPECT_EQ(decode_image(encode_png(ImageView(whole).part(box)), "x"), crop(whole, box));
}

TEST(Encode, RefusesWhatAJpegCannotHold) {
  EXPECT_THROW(encode_jpeg(Image()), Error);
  EXPECT_THROW(encode_jpeg(photo_like(4, 4, 1), {.quality = 0}), Error);
  EXPECT_THROW(encode_jpeg(photo_like(4, 4, 1), {.quality = 101}), Error);
  EXPECT_THROW(encode_png(Image()), Error);
}

TEST(Decode, NamesTheFileItCannotRead) {
  EXPECT_THAT(error_of([] { load_image("/no/such/picture.jpg"); }),
              testing::AllOf(HasSubstr("/no/such/picture.jpg"), HasSubstr("No such file")));
  EXPECT_THAT(error_of([] { load_image(golden("images")); }), HasSubstr("a folder"));
}

}  // namespace
}  // namespace invp
