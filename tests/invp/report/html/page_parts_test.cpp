// What a report is put together from: escaping, pictures, and the files that protocols leave.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "data/images/decode.h"
#include "engine/core/error.h"
#include "engine/files/safetensors.h"
#include "invp/report/html/anchors.h"
#include "invp/report/html/html.h"
#include "invp/report/html/pictures.h"
#include "invp/report/html/run_files.h"
#include "invp/report/svg/svg_chart.h"
#include "tests/support/html.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

std::vector<std::uint8_t> bytes_of(std::string_view text) {
  return {text.begin(), text.end()};
}

TEST(Html, Base64IsRfc4648s) {
  const std::vector<std::pair<std::string, std::string>> vectors{{"", ""},
                                                                 {"f", "Zg=="},
                                                                 {"fo", "Zm8="},
                                                                 {"foo", "Zm9v"},
                                                                 {"foob", "Zm9vYg=="},
                                                                 {"fooba", "Zm9vYmE="},
                                                                 {"foobar", "Zm9vYmFy"},
                                                                 {"\xFF\xFE\xFD", "//79"}};
  for (const auto& [plain, coded] : vectors) EXPECT_EQ(base64(bytes_of(plain)), coded);
}

TEST(Html, EscapesMarkupAndReplacesWhatIsNoUtf8) {
  EXPECT_EQ(html_escaped("a<b> & \"c\" 'd'"), "a&lt;b&gt; &amp; &quot;c&quot; &#39;d&#39;");
  EXPECT_EQ(html_escaped("Grüße, 猫 😀"), "Grüße, 猫 😀");
  const std::string bad = "\xEF\xBF\xBD";
  EXPECT_EQ(html_escaped("\xFF"), bad);
  EXPECT_EQ(html_escaped("\xC3"), bad);                      // cut short
  EXPECT_EQ(html_escaped("\xC0\xBC"), bad + bad);            // '<' in an overlong form
  EXPECT_EQ(html_escaped("\xED\xA0\x80"), bad + bad + bad);  // a surrogate
  EXPECT_EQ(html_escaped(std::string("\0", 1)), bad);
  EXPECT_EQ(script_safe(R"(["</script>","<!--"])"), R"(["\u003c/script>","\u003c!--"])");
}

TEST(SvgPanel, CarriesItsReadingsForAScript) {
  const Chart chart{.title = "a \"b\" <c>",
                    .unit = "x",
                    .series = {{"n<1>", {{1, 2.5}, {2, std::nan("")}, {3, 4}}}},
                    .from_zero = true};
  const std::string svg = svg_panel(chart, "epoch");
  const testing::HtmlPage page("<!doctype html>\n" + svg);
  std::string json = page.elements().front().attributes.at("data-chart");
  for (const auto& [from, to] : std::vector<std::pair<std::string, std::string>>{
           {"&quot;", "\""}, {"&lt;", "<"}, {"&gt;", ">"}, {"&amp;", "&"}}) {
    for (std::size_t at = json.find(from); at != std::string::npos; at = json.find(from, at))
      json.replace(at, from.size(), to);
  }
  const auto readings = nlohmann::json::parse(json);
  EXPECT_EQ(readings.at("x"), nlohmann::json({1.0, 3.0}));
  EXPECT_EQ(readings.at("series")[0].at("name"), "n<1>");
  EXPECT_EQ(readings.at("series")[0].at("points"), nlohmann::json({{1.0, 2.5}, {3.0, 4.0}}));
}

/// Picture i has one color, a function of i; every seventh cannot be read.
class Colors final : public Dataset {
 public:
  explicit Colors(std::int64_t count)
      : Dataset("colors", std::vector<std::int32_t>(static_cast<std::size_t>(count), 0), {"x"}) {}
  std::string name(std::int64_t index) const override { return std::to_string(index); }
  void fetch(std::int64_t index, Sample& sample) const override {
    CHECK(index % 7 != 6, "unreadable");
    sample.drawn.reshape(30, 20);
    const std::array<std::uint8_t, 3> color = color_of(index);
    for (std::size_t i = 0; i < sample.drawn.pixels.size(); ++i)
      sample.drawn.pixels[i] = color[i % 3];
    sample.encoded = {};
    sample.pixels = sample.drawn;
  }
  static std::array<std::uint8_t, 3> color_of(std::int64_t index) {
    if (index % 7 == 6) return {128, 128, 128};
    return {static_cast<std::uint8_t>(index * 37 % 256),
            static_cast<std::uint8_t>(index * 91 % 256),
            static_cast<std::uint8_t>(index * 13 % 256)};
  }
};

std::vector<std::uint8_t> decoded_base64(const std::string& uri) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::vector<std::uint8_t> bytes;
  std::uint32_t group = 0;
  int bits = 0;
  for (const char c : uri.substr(uri.find(',') + 1)) {
    if (c == '=') break;
    group = group << 6 | static_cast<std::uint32_t>(digits.find(c));
    if ((bits += 6) >= 8) bytes.push_back(static_cast<std::uint8_t>(group >> (bits -= 8)));
  }
  return bytes;
}

TEST(Pictures, TilesStandRowByRowOnSheets) {
  const Colors set(1100);
  std::vector<std::int64_t> indices;
  for (std::int64_t i = 0; i < 1100; ++i) indices.push_back(1099 - i);
  const TileSheets sheets = tile_sheets(set, indices, 8);
  ASSERT_EQ(sheets.uris.size(), 2u);
  for (std::size_t s = 0; s < 2; ++s) {
    const Image sheet = decode_image(decoded_base64(sheets.uris[s]), "sheet");
    EXPECT_EQ(sheet.width, 32 * 8);
    EXPECT_EQ(sheet.height, s == 0 ? 32 * 8 : 3 * 8);  // 76 tiles are left
    for (int tile = 0; tile < (s == 0 ? 1024 : 76); ++tile) {
      const auto want = Colors::color_of(indices[s * 1024 + static_cast<std::size_t>(tile)]);
      const std::uint8_t* got = sheet.at(tile % 32 * 8 + 4, tile / 32 * 8 + 4);
      for (int c = 0; c < 3; ++c) ASSERT_NEAR(got[c], want[c], 40) << s << ' ' << tile;
    }
  }
}

TEST(Pictures, ThumbnailsAreTheMiddleSquareAndNeverLarger) {
  Image wide(30, 10);
  std::ranges::fill(wide.pixels, std::uint8_t{0});
  for (int y = 0; y < 10; ++y) std::fill_n(wide.at(10, y), 30, std::uint8_t{200});
  const Image small = thumbnail(wide, 5);
  EXPECT_EQ(small.width, 5);
  EXPECT_EQ(small.height, 5);
  for (const std::uint8_t value : small.pixels) EXPECT_EQ(value, 200);
  EXPECT_EQ(thumbnail(wide, 64).width, 10);
  const Colors set(10);
  Thumbnails thumbnails(set, 12);
  EXPECT_EQ(decode_image(decoded_base64(thumbnails.uri(3)), "x").width, 12);
  EXPECT_EQ(*decode_image(decoded_base64(thumbnails.uri(6)), "x").at(6, 6), 128);  // unreadable
}

TEST(Anchors, AreSpreadOverTheSetAndItsClasses) {
  const auto set = [](std::vector<std::int32_t> labels, std::size_t classes) {
    return PixelDataset("pixels", 1, 1, std::vector<std::uint8_t>(labels.size() * 3),
                        {{"x", std::ssize(labels)}}, labels,
                        numbered_classes(static_cast<std::int64_t>(classes)));
  };
  EXPECT_THAT(sample_anchors(set({0, 0, 0, 0, 0, 0, 0, 0}, 1), 2), ElementsAre(2, 6));
  // Position 6 is of the class of position 2; the next of another class is taken.
  EXPECT_THAT(sample_anchors(set({0, 0, 1, 0, 0, 0, 1, 2}, 3), 2), ElementsAre(2, 7));
  EXPECT_THAT(sample_anchors(set({0, 1}, 2), 6), ElementsAre(0, 1));
}

TEST(RunFiles, AreFoundInAndUnderTheFolder) {
  const TempFolder folder;
  folder.write("layers.csv", "");
  folder.write("b/layers.csv", "");
  folder.write("a/b/c/d/layers.csv", "");
  folder.write("a/b/c/d/e/layers.csv", "");  // too deep
  folder.write("a/other.csv", "");
  folder.write("b/layers-2.csv", "");
  for (const char* other : {"layers-.csv", "layers-x.csv", "layers2.csv", "layers.csv.tmp"})
    folder.write(other, "");
  EXPECT_THAT(files_named(folder.path(), "layers", ".csv"),
              ElementsAre(folder / "a/b/c/d/layers.csv", folder / "b/layers-2.csv",
                          folder / "b/layers.csv", folder / "layers.csv"));
  EXPECT_TRUE(files_named(folder / "nowhere", "layers", ".csv").empty());
}

TEST(RunFiles, LayerTablesAreReadByTheirHeading) {
  const TempFolder folder;
  const LayerTable table =
      read_layer_table(folder.write("layers.csv",
                                    "tap,block name,dims,top-1,top-5\r\n1,stem,64,10.5,\r\n"
                                    "2,\"layer1, \"\"0\"\"\",256,20,50\r\n\r\n"));
  EXPECT_THAT(table.measures, ElementsAre("top-1", "top-5"));
  ASSERT_EQ(table.rows.size(), 2u);
  EXPECT_EQ(table.rows[0].values[0], 10.5);
  EXPECT_TRUE(std::isnan(table.rows[0].values[1]));
  EXPECT_EQ(table.rows[1].block, "layer1, \"0\"");
  EXPECT_EQ(table.rows[1].dims, 256);
  const auto refused = [&](const char* content) {
    const auto file = folder.write("bad.csv", content);
    return error_of([&] { read_layer_table(file); }).substr(file.string().size());
  };
  EXPECT_THAT(refused(""), HasSubstr(":1: not the heading"));
  EXPECT_THAT(refused("tap,block,dims\n"), HasSubstr(":1: not the heading"));
  EXPECT_THAT(refused("tap,block,dims,top-1\n"), HasSubstr("no line but the heading"));
  EXPECT_THAT(refused("tap,block,dims,top-1\n1,stem,64,1\n2,x,64\n"), HasSubstr(":3: not a line"));
  EXPECT_THAT(refused("tap,block,dims,top-1\none,stem,64,1\n"), HasSubstr(":2: not a line"));
}

TEST(RunFiles, PointsAreCheckedBeforeTheyAreDrawn) {
  const TempFolder folder;
  const auto write = [&](std::vector<std::pair<std::string, Tensor>> tensors,
                         const std::map<std::string, std::string>& metadata = {}) {
    write_safetensors(folder / "points.safetensors", tensors, metadata);
    return folder / "points.safetensors";
  };
  const Tensor points = Tensor::from(std::vector<float>{1, 2, 3, 4}, {2, 2});
  const Tensor labels = Tensor::from(std::vector<std::int64_t>{0, 5}, {2});
  const Tensor indices = Tensor::from(std::vector<std::int32_t>{7, 9}, {2});
  const PlotPoints read =
      read_plot_points(write({{"points", points}, {"labels", labels}, {"indices", indices}},
                             {{"split", "val"}, {"kl", "1.25"}}));
  EXPECT_EQ(read.split, "val");
  EXPECT_EQ(read.divergence, 1.25);
  EXPECT_THAT(read.points[1], ElementsAre(3, 4));
  EXPECT_THAT(read.labels, ElementsAre(0, 5));
  EXPECT_THAT(read.indices, ElementsAre(7, 9));
  const auto refused = [&](const std::filesystem::path& file) {
    return error_of([&] { read_plot_points(file); });
  };
  EXPECT_THAT(refused(write({{"points", points}, {"labels", labels}})), HasSubstr("'indices'"));
  EXPECT_THAT(refused(write({{"points", labels}, {"labels", labels}, {"indices", indices}})),
              HasSubstr("(n, 2)"));
  const Tensor nan = Tensor::from(std::vector<float>{1, 2, NAN, 4}, {2, 2});
  EXPECT_THAT(refused(write({{"points", nan}, {"labels", labels}, {"indices", indices}})),
              HasSubstr("point 1 is not finite"));
}

}  // namespace
}  // namespace invp
