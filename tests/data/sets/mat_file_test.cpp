// MATLAB files: both byte orders, every form of a number, and files that say what is not so.
#include "data/sets/mat_file.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "tests/data/sets/mat_writer.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using W = MatWriter;

/// The variable v of a file with these variables.
MatValue value_in(const TempFolder& folder, const W& writer,
                  const std::vector<std::string>& variables) {
  return MatFile(folder.write("x.mat", writer.file(variables))).variable("v");
}

TEST(MatFile, ReadsNumbersHoweverTheyAreStored) {
  const TempFolder folder;
  for (const bool big : {false, true}) {
    const W writer(big);
    // Doubles that are stored in one byte or two each, as MATLAB does with small whole numbers.
    EXPECT_EQ(value_in(folder, writer,
                       {writer.numbers<std::uint8_t>("v", W::kDoubles, W::kUint8, {1, 2, 200})})
                  .integer(2, 0, 255),
              200);
    EXPECT_EQ(value_in(folder, writer,
                       {writer.numbers<std::uint16_t>("v", W::kDoubles, W::kUint16, {1, 40000})})
                  .integer(1, 0, 65535),
              40000);
    EXPECT_EQ(value_in(folder, writer,
                       {writer.numbers<double>("u", W::kDoubles, W::kDouble, {9}),
                        writer.numbers<double>("v", W::kDoubles, W::kDouble, {-3, 5, 7})})
                  .integer(0, -10, 0),
              -3);
    EXPECT_EQ(value_in(folder, writer,
                       {writer.compressed(
                           writer.numbers<std::int32_t>("v", W::kDoubles, W::kInt32, {1, -70000}))})
                  .integer(1, -100000, 0),
              -70000);
  }
}

TEST(MatFile, ReadsTextCellsAndStructures) {
  const TempFolder folder;
  for (const bool big : {false, true}) {
    const W writer(big);
    const std::string wide =
        writer.matrix(W::kTexts, {1, 3}, "",
                      writer.element(W::kUint16, writer.words<std::uint16_t>({'a', 0xe9, 'z'})));
    const MatValue cells =
        value_in(folder, writer, {writer.cells("v", {writer.text("", "one"), wide})});
    EXPECT_EQ(cells.cell(0).text(), "one");
    EXPECT_EQ(cells.cell(1).text(), "a\xc3\xa9z");
    EXPECT_THAT(error_of([&] { cells.cell(2); }), HasSubstr("x.mat: v{3}"));

    const MatValue structures = value_in(
        folder, writer,
        {writer.structs(
            "v", 2, {"class", "fname"},
            {writer.numbers<double>("", W::kDoubles, W::kDouble, {4}), writer.text("", "1.jpg"),
             writer.numbers<double>("", W::kDoubles, W::kDouble, {5}), writer.text("", "2.jpg")})});
    EXPECT_EQ(structures.field(1, "class").integer(0, 0, 9), 5);
    EXPECT_EQ(structures.field(0, "fname").text(), "1.jpg");
    EXPECT_THAT(error_of([&] { structures.field(0, "box"); }),
                AllOf(HasSubstr("v(1).box"), HasSubstr("no such field")));
    EXPECT_THAT(error_of([&] { structures.field(0, "class").text(); }),
                AllOf(HasSubstr("v(1).class"), HasSubstr("is no text")));
    EXPECT_THAT(error_of([&] { structures.field(1, "fname").integer(0, 0, 9); }),
                HasSubstr("v(2).fname"));
  }
}

TEST(MatFile, RefusesWhatIsAnnouncedAndNotThere) {
  const TempFolder folder;
  const W writer;
  const auto error_with = [&](const std::string& variable) {
    return error_of([&] { value_in(folder, writer, {variable}).integer(0, 0, 9); });
  };
  const std::string two = writer.element(W::kUint8, "\x01\x02");
  EXPECT_THAT(error_with(writer.matrix(W::kBytes, {1, 9}, "v", two)),
              AllOf(HasSubstr("x.mat: v"), HasSubstr("9 values are announced, 2 are there")));
  EXPECT_THAT(error_with(writer.matrix(W::kBytes, {1, 1}, "v", two)), HasSubstr("2 are there"));
  // Of UTF-8, texts alone may have more bytes than characters.
  for (const auto array_class : {W::kBytes, W::kDoubles}) {
    EXPECT_THAT(error_with(writer.matrix(array_class, {1, 1}, "v", writer.element(W::kUtf8, "12"))),
                HasSubstr("1 values are announced, 2 are there"));
  }
  EXPECT_THAT(error_with(writer.matrix(W::kBytes, {-1, 2}, "v", two)),
              HasSubstr("dimension of -1"));
  EXPECT_THAT(error_with(writer.matrix(W::kBytes, {1 << 30, 1 << 30, 1 << 30}, "v", two)),
              HasSubstr("dimension"));
  EXPECT_THAT(error_with(writer.matrix(W::kBytes, {1, 2}, "v", writer.element(77, "12"))),
              HasSubstr("unknown type 77"));
  EXPECT_THAT(error_with(writer.matrix(W::kCells, {1, 1 << 30}, "v", two)),
              HasSubstr("elements are announced"));
  EXPECT_THAT(error_with(writer.structs("v", 1 << 28, {"class"}, {})),
              HasSubstr("elements are announced"));
  const std::string cut = writer.matrix(W::kBytes, {1, 9}, "", two);
  EXPECT_THAT(error_with(writer.cells("v", {writer.text("", "x"), cut})),
              HasSubstr("x.mat: v{2}: 9 values are announced"));
  EXPECT_THAT(error_with(writer.structs("v", 2, {"class", "fname"}, {two, two, two, cut})),
              HasSubstr("x.mat: v(1).class: an element of type 2"));
  const std::string one = writer.text("", "x");
  EXPECT_THAT(error_with(writer.structs("v", 2, {"class", "fname"}, {one, one, one, cut})),
              HasSubstr("x.mat: v(2).fname: 9 values are announced"));
  EXPECT_THAT(error_with(writer.structs("v", 1, {}, {})), HasSubstr("x.mat: v"));
  EXPECT_THAT(error_with(writer.matrix(W::kStructs, {1, 1}, "v",
                                       writer.element(W::kInt32, writer.word(std::int32_t{0})) +
                                           writer.element(W::kInt8, "class"))),
              HasSubstr("field names"));
  EXPECT_THAT(error_with(writer.matrix(W::kStructs, {1 << 20, 1 << 20}, "v",
                                       writer.element(W::kInt32, writer.word(std::int32_t{1})) +
                                           writer.element(W::kInt8, std::string(1 << 16, 'f')))),
              HasSubstr("a structure has 65536 fields"));
  EXPECT_THAT(error_with(writer.matrix(W::kStructs, {1 << 20, 1 << 20}, "v",
                                       writer.element(W::kInt32, writer.word(std::int32_t{8})) +
                                           writer.element(W::kInt8, std::string(1 << 14, 'f')))),
              HasSubstr("1099511627776 elements are announced"));
  EXPECT_THAT(error_with(writer.matrix(W::kBytes, {0, 0}, "v", writer.element(W::kUint8, ""))),
              HasSubstr("is empty"));
  std::string deep = writer.text("", "x");
  for (int i = 0; i < 40; ++i) deep = writer.cells("", {deep});
  EXPECT_THAT(error_with(writer.cells("v", {deep})), HasSubstr("nested too deep"));
}

TEST(MatFile, RefusesEmptyFieldsAndStrangeText) {
  const TempFolder folder;
  const W writer;
  const std::string empty = writer.word(std::uint32_t{W::kMatrix}) + writer.word(std::uint32_t{0});
  const MatValue structure =
      value_in(folder, writer, {writer.structs("v", 1, {"class", "fname"}, {empty, empty})});
  EXPECT_THAT(error_of([&] { structure.field(0, "class").integer(0, 1, 9); }),
              HasSubstr("v(1).class: is missing"));
  EXPECT_THAT(error_of([&] { structure.field(0, "fname").text(); }),
              HasSubstr("v(1).fname: is no text"));
  // More characters are announced than the bytes hold.
  EXPECT_THAT(error_of([&] {
                value_in(
                    folder, writer,
                    {writer.matrix(W::kTexts, {1, 4000}, "v", writer.element(W::kUtf8, "a.jpg"))})
                    .text();
              }),
              HasSubstr("4000 values are announced, 5 are there"));
  for (const std::uint16_t c : std::initializer_list<std::uint16_t>{0, 0xd800}) {
    EXPECT_THAT(error_of([&] {
                  value_in(folder, writer,
                           {writer.matrix(W::kTexts, {1, 1}, "v",
                                          writer.element(W::kUint16, writer.word(c)))})
                      .text();
                }),
                HasSubstr("holds a character of the number"));
  }
}

TEST(MatFile, TellsOtherFiles) {
  const TempFolder folder;
  const W writer;
  const auto error_with = [&](const std::string& content) {
    const auto path = folder.write("x.mat", content);
    return error_of([&] { MatFile(path).variable("v"); });
  };
  EXPECT_THAT(error_with("short"), HasSubstr("not a MATLAB file"));
  EXPECT_THAT(error_with(std::string(200, 'x')), HasSubstr("not a MATLAB file"));
  EXPECT_THAT(error_with(writer.file({}, 0x0200)), AllOf(HasSubstr("7.3"), HasSubstr("-v7")));
  EXPECT_THAT(error_with(writer.file({writer.text("other", "x")})), HasSubstr("no variable v"));
  EXPECT_THAT(error_with(writer.file({writer.compressed("no matrix at all")})),
              HasSubstr("no array is compressed here"));
}

TEST(MatFile, RefusesToUnpackALittleIntoVeryMuch) {
  const TempFolder folder;
  const W writer;
  const auto file_of = [&](std::int32_t count) {
    const std::string values = writer.element(W::kUint8, std::string(count, '\1'));
    return folder.write(
        "x.mat",
        writer.file({writer.compressed(writer.matrix(W::kBytes, {1, count}, "v", values))}));
  };
  EXPECT_EQ(MatFile(file_of(60 << 20)).variable("v").count(), 60 << 20);
  const MatFile large(file_of(80 << 20));
  EXPECT_THAT(error_of([&] { large.variable("v"); }),
              AllOf(HasSubstr("x.mat: v: "), HasSubstr("-v6")));
  EXPECT_THAT(error_of([&] { large.variable("w"); }), HasSubstr("no variable w"));
  // Empty arrays, of eight bytes each, that zlib packs a thousand to one.
  constexpr std::int32_t kCells = 1'100'000;
  std::string cells;
  for (std::int32_t i = 0; i < kCells; ++i)
    cells += writer.word(std::uint32_t{W::kMatrix}) + std::string(4, '\0');
  const MatFile many(folder.write(
      "many.mat",
      writer.file({writer.compressed(writer.matrix(W::kCells, {1, kCells}, "v", cells))})));
  EXPECT_THAT(error_of([&] { many.variable("v"); }), HasSubstr("more than 1000000 arrays"));
}

}  // namespace
}  // namespace invp::testing
