// Netpbm's six formats: what each means by the manual pages, and what broken files are refused for.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "data/images/decode.h"
#include "engine/core/error.h"
#include "engine/core/random.h"

namespace invp {
namespace {

using testing::HasSubstr;
using Pixels = std::vector<std::uint8_t>;

std::span<const std::uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

Image decoded(const std::string& file, const DecodeOptions& options = {}) {
  return decode_image(bytes_of(file), "x.pnm", options);
}

std::string refusal(const std::string& file) {
  try {
    decoded(file);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

/// Gray values as the R, G and B of pixels.
Pixels gray(const std::vector<int>& values) {
  Pixels pixels;
  for (const int value : values) pixels.insert(pixels.end(), 3, static_cast<std::uint8_t>(value));
  return pixels;
}

std::string raw(std::initializer_list<int> values) {
  std::string text;
  for (const int value : values) text += static_cast<char>(value);
  return text;
}

TEST(DecodePnm, ReadsAllSixKinds) {
  // 1 is black in a bitmap; a raw row of ten pixels takes two bytes.
  EXPECT_EQ(decoded("P1\n3 2\n1 0 1\n0 1 1\n").pixels, gray({0, 255, 0, 255, 0, 0}));
  EXPECT_EQ(decoded("P4\n10 2\n" + raw({0x81, 0x40, 0x00, 0xbf})).pixels,
            gray({0,   255, 255, 255, 255, 255, 255, 0,   255, 0,  //
                  255, 255, 255, 255, 255, 255, 255, 255, 0,   255}));
  EXPECT_EQ(decoded("P2 3 1 255 0 7 255").pixels, gray({0, 7, 255}));
  EXPECT_EQ(decoded("P5 3 1 255\n" + raw({0, 7, 255})).pixels, gray({0, 7, 255}));
  EXPECT_EQ(decoded("P3\n2 1\n255\n255 0 1 2 3 4\n").pixels, (Pixels{255, 0, 1, 2, 3, 4}));
  EXPECT_EQ(decoded("P6\n2 1\n255\n" + raw({255, 0, 1, 2, 3, 4})).pixels,
            (Pixels{255, 0, 1, 2, 3, 4}));
}

TEST(DecodePnm, TakesWhatTheFormatAllowsBetweenNumbers) {
  EXPECT_EQ(decoded("P5#made by hand\r\n# 9 9\n 2\t\n1#\n255\n" + raw({' ', '#'})).pixels,
            gray({' ', '#'}));
  EXPECT_EQ(decoded("P1 4 2 0110\n1 0#x\n01").pixels, gray({255, 0, 0, 255, 0, 255, 255, 0}));
  // What follows the picture is another picture or nothing of interest.
  EXPECT_EQ(decoded("P2 1 1 255 9 P2 1 1 255 8").pixels, gray({9}));
}

TEST(DecodePnm, ScalesFromTheLargestValueTo255) {
  EXPECT_EQ(decoded("P5\n4 1\n15\n" + raw({0, 5, 10, 15})).pixels, gray({0, 85, 170, 255}));
  EXPECT_EQ(decoded("P2\n3 1\n1\n0 1 1\n").pixels, gray({0, 255, 255}));
  EXPECT_EQ(decoded("P2 3 1 2 0 1 2").pixels, gray({0, 128, 255}));  // 127.5: halves to even
  // A raw sample above it counts as it; the higher of two bytes stands first.
  EXPECT_EQ(decoded("P5 2 1 100\n" + raw({100, 200})).pixels, gray({255, 255}));
  EXPECT_EQ(decoded("P6 1 1 1023\n" + raw({3, 255, 2, 0, 0, 0})).pixels, (Pixels{255, 128, 0}));
  std::string deep = "P5\n256 256\n65535\n";
  std::vector<int> expected;
  for (int value = 0; value < 65536; ++value) {
    deep += raw({value >> 8, value & 255});
    expected.push_back(static_cast<int>(std::lround(value / 257.0)));
  }
  EXPECT_EQ(decoded(deep).pixels, gray(expected));
}

TEST(DecodePnm, SaysItsSizeAndFormat) {
  const std::string file = "P6 # \n 3 2 255\n";
  const ImageInfo info = read_image_info(bytes_of(file), "x.pnm");
  EXPECT_EQ(info.format, ImageFormat::kPnm);
  EXPECT_EQ(info.width, 3);
  EXPECT_EQ(info.height, 2);
  EXPECT_EQ(info.channels, 3);
  EXPECT_EQ(read_image_info(bytes_of("P4 1 1 x"), "x.pnm").channels, 1);
}

TEST(DecodePnm, RefusesFilesThatAreCutShort) {
  const std::string files[] = {
      "P1 9 2 101010101 01010101",
      "P2 2 2 255 1 2 30 4",
      "P3 1 2 255 1 2 3 4 5 6",
      "P4 9 2\n" + raw({1, 2, 3, 4}),
      "P5 2 2 255\n" + raw({1, 2, 3, 4}),
      "P6 1 2 255\n" + raw({1, 2, 3, 4, 5, 6}),
      "P5 1 2 65535\n" + raw({1, 2, 3, 4}),
  };
  for (const std::string& file : files) {
    // The last byte of plain samples may be a digit of several.
    for (std::size_t length = 0; length < file.size(); ++length) {
      if (length + 1 == file.size() && file[1] <= '3') continue;
      const std::string cut = file.substr(0, length);
      EXPECT_THAT(refusal(cut), HasSubstr("x.pnm: ")) << cut;
    }
  }
  EXPECT_THAT(refusal("P5 2 2 255\n123"), HasSubstr("PNM: the file is cut short"));
  EXPECT_EQ(decoded("P5 2 2 255\n123", {.allow_truncated = true}).pixels, gray({'1', '2', '3', 0}));
}

TEST(DecodePnm, RefusesHeadersThatMakeNoSense) {
  const auto says = [](const std::string& file, const char* reason) {
    EXPECT_THAT(refusal(file), HasSubstr(reason)) << file;
  };
  says("P5 0 3 255\n", "a size of 0 x 3");
  says("P5 -1 3 255\n", "the width is missing");
  says("P5 2 x", "the height is missing");
  says("P5 2 2\n", "the largest value is missing");
  says("P5 2 2 0\n1234", "the largest value is 0");
  says("P6 1 1 65536\n123456", "the largest value is 65536");
  says("P6 99999999999999999999 1 255\n", "the width is too large");
  says("P6 100000 100000 255\n", "100000 x 100000 pixels, more than");
  says("P5 1 1 255x", "does not end with white space");
  says("P2 1 1 15 16", "a sample is 16, the largest value is 15");
  says("P2 1 1 15 x", "a sample is missing");
  says("P1 2 1 0 2", "another character than 0 and 1");
  says("P5", "not a picture");
  says("P50 years ago", "not a picture");
  says("P7\nWIDTH 1\n", "PAM is not supported");
  says("Pf\n1 1\n-1.0\n1234", "PFM is not supported");
}

TEST(DecodePnm, SurvivesChangedBytes) {
  Random random(4, Purpose::kBenchmark);
  const std::string files[] = {"P1 9 2 101010101 010101010", "P3 2 1 255 1 2 3 4 5 6",
                               "P4 9 2\n" + raw({1, 2, 3, 4}), "P5 2 2 65535\n12345678",
                               "P6 1 2 255\n123456"};
  for (int i = 0; i < 5000; ++i) {
    std::string file = files[i % 5];
    for (int change = 0; change < 3; ++change) {
      file[static_cast<std::size_t>(random.integer(2, std::ssize(file) - 1))] =
          static_cast<char>(random.integer(0, 255));
    }
    try {
      decoded(file, {.max_pixels = 10'000});
    } catch (const Error&) {
    }
  }
}

}  // namespace
}  // namespace invp
