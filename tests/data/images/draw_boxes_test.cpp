// Boxes drawn on pictures: where frames and labels are, and that no text or box does harm.
#include "data/images/draw_boxes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace invp {
namespace {

constexpr std::uint8_t kGround = 90;

Image ground(int width, int height) {
  Image image(width, height);
  std::ranges::fill(image.pixels, kGround);
  return image;
}

Rgb color_at(const Image& image, int x, int y) {
  const std::uint8_t* const pixel = image.at(x, y);
  return {pixel[0], pixel[1], pixel[2]};
}

bool untouched(const Image& image, int x, int y) {
  return color_at(image, x, y) == Rgb{kGround, kGround, kGround};
}

Image drawn(int width, int height, const std::vector<DrawnBox>& boxes) {
  Image image = ground(width, height);
  draw_boxes(image, boxes);
  return image;
}

/// The smallest rectangle with all pixels that two pictures differ in.
Box changed(const Image& a, const Image& b) {
  int left = a.width, top = a.height, right = 0, bottom = 0;
  for (int y = 0; y < a.height; ++y) {
    for (int x = 0; x < a.width; ++x) {
      if (color_at(a, x, y) == color_at(b, x, y)) continue;
      left = std::min(left, x);
      right = std::max(right, x + 1);
      top = std::min(top, y);
      bottom = std::max(bottom, y + 1);
    }
  }
  return {left, top, right - left, bottom - top};
}

TEST(DrawBoxes, FramesRunAlongTheInsideOfTheBoxBetweenDarkLines) {
  ASSERT_EQ(frame_width(400, 340), 2);
  const Image image = drawn(400, 340, {{.x0 = 50, .y0 = 60, .x1 = 150, .y1 = 200, .kind = 1}});
  const Rgb color = kind_color(1);
  for (const int along : {60, 100, 149}) {
    for (const int across : {0, 1}) {
      EXPECT_EQ(color_at(image, along, 60 + across), color);
      EXPECT_EQ(color_at(image, along, 199 - across), color);
      EXPECT_EQ(color_at(image, 50 + across, along), color);
      EXPECT_EQ(color_at(image, 149 - across, along), color);
    }
    for (const int beside : {59, 62, 200, 197})
      EXPECT_LT(color_at(image, std::min(along, 140), beside)[1], 40) << beside;
    EXPECT_TRUE(untouched(image, along, 58));
    EXPECT_TRUE(untouched(image, std::min(along, 140), 63));
  }
  EXPECT_TRUE(untouched(image, 100, 130));
}

TEST(DrawBoxes, LinesAreThickerOnLargerPictures) {
  EXPECT_EQ(frame_width(100, 80), 1);
  EXPECT_EQ(frame_width(4000, 3000), 18);
  EXPECT_GT(letter_size(4000, 3000), 5 * letter_size(500, 375));
}

TEST(DrawBoxes, DashedFramesHaveGapsAndWholeCorners) {
  const Image image =
      drawn(400, 340,
            {{.x0 = 50, .y0 = 60, .x1 = 250, .y1 = 260, .kind = 0, .style = BoxStyle::kDashed}});
  int gaps = 0, dashes = 0;
  for (int x = 50; x < 250; ++x) {
    gaps += untouched(image, x, 60) ? 1 : 0;
    dashes += color_at(image, x, 60) == kind_color(0) ? 1 : 0;
  }
  EXPECT_GT(gaps, 50);
  EXPECT_GT(dashes, 80);
  for (const int x : {50, 249}) {
    for (const int y : {60, 259}) EXPECT_EQ(color_at(image, x, y), kind_color(0));
  }
}

/// What the text adds to the picture is as large as a plate: nothing of it was cut off.
void expect_whole_label(const DrawnBox& box, int width, int height) {
  DrawnBox bare = box;
  bare.text.clear();
  const Image without = drawn(width, height, {bare});
  const Image with = drawn(width, height, {box});
  const Box label = changed(without, with);
  const double size = letter_size(width, height);
  EXPECT_GE(label.width, text_width(box.text, size));
  EXPECT_LE(label.width, text_width(box.text, size) + size);
  EXPECT_GE(label.height, size * (kAscent + kDescent));
  int letters = 0;
  for (int y = label.y + 2; y < label.y + label.height - 2; ++y) {
    for (int x = label.x + 2; x < label.x + label.width - 2; ++x)
      letters += color_at(with, x, y)[0] < 60 ? 1 : 0;
  }
  EXPECT_GT(letters, 6 * size);
}

TEST(DrawBoxes, LabelsStayInThePictureAtAllFourCorners) {
  const int width = 300, height = 200;
  for (const double x : {0.0, 270.0, -15.0, 285.0}) {
    for (const double y : {0.0, 175.0, -10.0, 188.0}) {
      SCOPED_TRACE(testing::Message() << x << ", " << y);
      expect_whole_label(
          {.x0 = x, .y0 = y, .x1 = x + 30, .y1 = y + 25, .text = "dining table 0.87"}, width,
          height);
    }
  }
  // As large as the picture.
  expect_whole_label({.x0 = 0, .y0 = 0, .x1 = 300, .y1 = 200, .text = "person"}, width, height);
}

TEST(DrawBoxes, LabelsDoNotCoverEachOtherWhereThereIsRoom) {
  // Ten boxes on one another: each label changes as many pixels as it does alone.
  std::vector<DrawnBox> boxes;
  for (int i = 0; i < 10; ++i)
    boxes.push_back({.x0 = 60, .y0 = 60, .x1 = 340, .y1 = 300, .text = "horse 0.50", .kind = 3});
  const Image all = drawn(400, 360, boxes);
  boxes.resize(1);
  const Image one = drawn(400, 360, boxes);
  boxes[0].text.clear();
  const Image none = drawn(400, 360, boxes);
  const auto letters = [&](const Image& image) {
    std::int64_t count = 0;
    for (std::size_t i = 0; i < image.pixels.size(); i += 3)
      count += image.pixels[i] != none.pixels[i] ? 1 : 0;
    return static_cast<double>(count);
  };
  EXPECT_GT(letters(all), 8.5 * letters(one));
}

TEST(DrawBoxes, NothingIsDrawnForBoxesOutsideOrWithoutArea) {
  constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
  constexpr double kInfinite = std::numeric_limits<double>::infinity();
  std::vector<DrawnBox> boxes = {{.x0 = 100, .y0 = 10, .x1 = 120, .y1 = 20},
                                 {.x0 = -30, .y0 = 10, .x1 = 0, .y1 = 20},
                                 {.x0 = 10, .y0 = -9, .x1 = 20, .y1 = -1},
                                 {.x0 = 10, .y0 = 80, .x1 = 20, .y1 = 90},
                                 {.x0 = 20, .y0 = 10, .x1 = 10, .y1 = 20},
                                 {.x0 = 20, .y0 = 10, .x1 = 20, .y1 = 20},
                                 {.x0 = kNan, .y0 = 10, .x1 = 20, .y1 = 20},
                                 {.x0 = 10, .y0 = 10, .x1 = 20, .y1 = kNan},
                                 {.x0 = kInfinite, .y0 = 10, .x1 = kInfinite, .y1 = 20}};
  for (DrawnBox& box : boxes) box.text = "here";
  EXPECT_EQ(drawn(100, 80, boxes), ground(100, 80));
}

TEST(DrawBoxes, HugeAndTinyBoxesAndPicturesAreHarmless) {
  const DrawnBox huge{.x0 = -1e300, .y0 = -1e18, .x1 = 1e300, .y1 = 1e300, .text = "all"};
  const Image image = drawn(400, 340, {huge});
  EXPECT_EQ(color_at(image, 0, 200), kind_color(0));
  EXPECT_EQ(color_at(image, 399, 200), kind_color(0));
  const Image dot = drawn(400, 340, {{.x0 = 200.4, .y0 = 200.4, .x1 = 200.41, .y1 = 200.41}});
  EXPECT_EQ(color_at(dot, 200, 200), kind_color(0));
  for (const int side : {1, 2, 5, 11, 20}) drawn(side, side, {huge});
}

TEST(DrawBoxes, AnyTextIsCutAndShownWithoutHarm) {
  const auto label = [](const std::string& text) {
    return drawn(200, 100, {{.x0 = 20, .y0 = 30, .x1 = 90, .y1 = 80, .text = text}});
  };
  const Image plain = label("");
  for (const std::string& text :
       {std::string(100'000, 'w'), std::string("\0\x01\x1b[31m\n", 8), std::string("\xff\xfe\x80"),
        std::string("\u732b \u0441\u043e\u0431\u0430\u043a\u0430"), std::string("\u202egod"),
        std::string("\U0001f415")})
    EXPECT_NE(label(text), plain) << text.substr(0, 20);
  // What is not among the letters has a shape: not nothing, not the same width as nothing.
  EXPECT_GT(text_width("\u732b", 10), 4);
  EXPECT_EQ(text_width("\u732b\u732b", 10), 2 * text_width("\u732b", 10));
  EXPECT_NE(text_width("\u00e9", 10), text_width("\u732b", 10));  // a letter of its own
}

TEST(DrawBoxes, TextThatIsTooLongEndsInDots) {
  EXPECT_EQ(fitted_text("cat", 12, 100), "cat");
  const std::string cut = fitted_text("an extraordinarily long name", 12, 80);
  EXPECT_THAT(cut, ::testing::StartsWith("an ext"));
  EXPECT_THAT(cut, ::testing::EndsWith("\u2026"));
  EXPECT_LE(text_width(cut, 12), 80);
  EXPECT_EQ(fitted_text("cat", 12, 3), "");
  EXPECT_EQ(fitted_text("\u00e9\u00e9\u00e9\u00e9\u00e9\u00e9", 12, 40).size() % 2,
            1);  // no half of one
}

TEST(DrawBoxes, ColorsAreStableAndDifferAmongNeighbors) {
  for (std::int64_t kind = 0; kind < 16; ++kind) {
    for (std::int64_t other = 0; other < kind; ++other)
      EXPECT_NE(kind_color(kind), kind_color(other)) << kind << ' ' << other;
    EXPECT_EQ(kind_color(kind), kind_color(kind + 16));
  }
  kind_color(-1);
  kind_color(std::numeric_limits<std::int64_t>::max());
}

TEST(DrawBoxes, TheSameBoxesGiveTheSamePicture) {
  std::vector<DrawnBox> boxes;
  for (int i = 0; i < 40; ++i) {
    boxes.push_back({.x0 = i * 7.3,
                     .y0 = i * 3.1,
                     .x1 = i * 7.3 + 60,
                     .y1 = i * 3.1 + 40,
                     .text = "class " + std::to_string(i),
                     .kind = i});
  }
  EXPECT_EQ(drawn(400, 300, boxes), drawn(400, 300, boxes));
}

TEST(DrawText, LettersCoverWhatTheirOutlinesHold) {
  // "I" of the letters is a rectangle: 42 to 129 of 512 units wide, 373 high.
  Image image = ground(200, 200);
  const double size = 128;
  draw_text(image, "I", 10, 150, size, {255, 255, 255});
  double covered = 0;
  for (std::size_t i = 0; i < image.pixels.size(); i += 3)
    covered += (image.pixels[i] - kGround) / (255.0 - kGround);
  EXPECT_NEAR(covered, (129 - 42) * 373 / 16.0, 12);
  EXPECT_EQ(color_at(image, 10 + 20, 150 - 50), (Rgb{255, 255, 255}));
  EXPECT_TRUE(untouched(image, 10 + 5, 150 - 50));
  // The hole of an "o" stays open.
  Image hole = ground(200, 200);
  draw_text(hole, "o", 10, 150, size, {255, 255, 255});
  EXPECT_TRUE(untouched(hole, 10 + static_cast<int>(text_width("o", size) / 2), 150 - 35));
}

}  // namespace
}  // namespace invp
