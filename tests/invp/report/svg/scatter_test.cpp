#include "invp/report/svg/scatter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <set>

#include "engine/core/error.h"
#include "tests/support/values.h"

namespace invp {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

ScatterPanel panel(const std::string& title) {
  return {.title = title,
          .note = "KL 1",
          .points = testing::tensor({0, 0, 1, 0, 10, 10, 11, 10, 5, 20}, {5, 2}),
          .labels = {0, 0, 1, 1, -1},
          .thumbnails = {}};
}

std::size_t count(const std::string& text, const std::string& part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1))
    ++found;
  return found;
}

TEST(Scatter, DrawsEveryPointOnceAndNamesEveryClass) {
  const std::string svg = scatter_svg("A & B", {panel("first"), panel("second")}, {"cat", "dog"});
  EXPECT_THAT(svg, HasSubstr("A &amp; B"));
  EXPECT_EQ(count(svg, "h0"), 10u);
  EXPECT_EQ(count(svg, "class=\"panel\""), 2u);
  for (const char* name : {">cat<", ">dog<", ">unknown<", ">first<", ">second<"})
    EXPECT_THAT(svg, HasSubstr(name));
  EXPECT_THAT(svg, Not(HasSubstr("nan")));
  EXPECT_THAT(svg, Not(HasSubstr("http://www.w3.org/1999")));
  EXPECT_TRUE(svg.starts_with("<svg xmlns=\"http://www.w3.org/2000/svg\""));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "<text"), count(svg, "</text>"));
}

// Both axes have one scale, and up is up: of a square's corners, the upper left stays the upper
// left.
TEST(Scatter, KeepsShapes) {
  ScatterPanel square{.title = "square",
                      .points = testing::tensor({0, 0, 8, 0, 0, 4, 8, 4}, {4, 2}),
                      .labels = {0, 1, 2, 3},
                      .thumbnails = {}};
  const std::string svg = scatter_svg("", {square}, {});
  std::vector<std::pair<double, double>> corners;
  for (std::size_t at = svg.find("d=\"M"); at != std::string::npos;
       at = svg.find("d=\"M", at + 1)) {
    double x = 0;
    double y = 0;
    ASSERT_EQ(std::sscanf(svg.c_str() + at, "d=\"M%lf %lf", &x, &y), 2);
    corners.emplace_back(x, y);
  }
  ASSERT_EQ(corners.size(), 4u);
  const double width = corners[1].first - corners[0].first;
  EXPECT_GT(width, 500);
  EXPECT_NEAR(corners[0].second - corners[2].second, width / 2, 0.2);
  EXPECT_NEAR(corners[0].second, corners[1].second, 1e-9);
}

TEST(Scatter, MoreClassesThanNamesFitAreNumbered) {
  ScatterPanel many{
      .title = "many", .points = Tensor::zeros({40, 2}), .labels = {}, .thumbnails = {}};
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < 40; ++i) {
    many.points.data<float>()[2 * i] = static_cast<float>(i);
    many.labels.push_back(i);
    names.push_back("class <" + std::to_string(i) + ">");
  }
  const std::string svg = scatter_svg("", {many}, names);
  EXPECT_EQ(count(svg, "class=\"number\""), 40u);
  EXPECT_THAT(svg, HasSubstr("class &lt;39&gt;"));
}

TEST(Scatter, ColorsDiffer) {
  for (const std::int64_t classes : {2, 10, 40}) {
    std::set<std::string> colors;
    for (std::int64_t i = 0; i < classes; ++i) colors.insert(class_color(i, classes));
    EXPECT_EQ(std::ssize(colors), classes);
  }
}

TEST(Scatter, ThumbnailsDoNotCoverEachOther) {
  const Tensor points = testing::tensor(testing::random_values(1, 4000), {2000, 2});
  const std::vector<std::int64_t> places = thumbnail_places(points, 100);
  EXPECT_EQ(places, thumbnail_places(points, 100));
  ASSERT_GT(places.size(), 50u);
  // 604 pixels for a span of 4.
  constexpr double kPixels = 150;
  for (std::size_t i = 0; i < places.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      const float* a = points.data<float>() + 2 * places[i];
      const float* b = points.data<float>() + 2 * places[j];
      EXPECT_GT(kPixels * std::max(std::abs(a[0] - b[0]), std::abs(a[1] - b[1])), kThumbnailSide);
    }
  }
  ScatterPanel shown = panel("with a picture");
  shown.thumbnails = {{2, "data:image/jpeg;base64,AAAA"}};
  EXPECT_EQ(count(scatter_svg("", {shown}, {}), "<image "), 1u);
}

TEST(Scatter, RefusesWhatItCannotDraw) {
  EXPECT_THROW(scatter_svg("", {}, {}), Error);
  ScatterPanel wrong = panel("");
  wrong.labels.pop_back();
  EXPECT_THROW(scatter_svg("", {wrong}, {}), Error);
  ScatterPanel infinite = panel("");
  infinite.points.data<float>()[3] = std::numeric_limits<float>::infinity();
  EXPECT_THROW(scatter_svg("", {infinite}, {}), Error);
}

}  // namespace
}  // namespace invp
