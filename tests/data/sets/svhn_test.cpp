#include "data/sets/svhn.h"

#include <gmock/gmock.h>

#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/data/sets/mat_writer.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::MatWriter;
using testing::TempFolder;

/// The byte at `offset` of an image's 3072 as the file has them.
std::uint8_t pixel(std::size_t image, int offset) {
  return static_cast<std::uint8_t>(static_cast<int>(image) * 31 + offset * 7 + offset / 251);
}

/// MATLAB's column-major X (32 x 32 x 3 x n) and y.
std::string svhn_file(std::size_t n, bool compressed, double first_label,
                      const MatWriter& writer = MatWriter()) {
  std::string x(3072 * n, '\0');
  for (std::size_t image = 0; image < n; ++image) {
    for (int i = 0; i < 3072; ++i)
      x[image * 3072 + static_cast<std::size_t>(i)] = static_cast<char>(pixel(image, i));
  }
  std::vector<double> labels(n);
  for (std::size_t i = 0; i < n; ++i) labels[i] = first_label - static_cast<double>(i);
  const std::string pictures =
      writer.matrix(MatWriter::kBytes, {32, 32, 3, static_cast<std::int32_t>(n)}, "X",
                    writer.element(MatWriter::kUint8, x));
  const std::string y = writer.matrix(MatWriter::kDoubles, {static_cast<std::int32_t>(n), 1}, "y",
                                      writer.element(MatWriter::kDouble, writer.words(labels)));
  return compressed ? writer.file({writer.compressed(pictures), writer.compressed(y)})
                    : writer.file({pictures, y});
}

TEST(Svhn, ReadsBothFormsOfTheFile) {
  const TempFolder folder;
  folder.write("train_32x32.mat", svhn_file(4, true, 10));
  folder.write("test_32x32.mat", svhn_file(2, false, 2));
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "svhn");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "test"));
  const auto train = open_dataset(source, "train");
  ASSERT_EQ(train->size(), 4);
  EXPECT_EQ(train->label(0), 0);  // 10 stands for zero
  EXPECT_EQ(train->label(1), 9);
  const Image last = train->load(3);
  EXPECT_EQ(last.at(5, 7)[0], pixel(3, 5 * 32 + 7));  // columns of 32 rows, plane after plane
  EXPECT_EQ(last.at(31, 0)[2], pixel(3, 2 * 1024 + 31 * 32));
  EXPECT_EQ(open_dataset(source, "val")->size(), 2);
  EXPECT_THAT(error_of([&] { open_dataset(source, "extra"); }), HasSubstr("extra_32x32.mat"));
}

TEST(Svhn, ItsIdentityIsThatOfImagesLabelsAndFileName) {
  const TempFolder folder;
  const auto identity_of = [&](const char* name, std::size_t images, double first_label) {
    return open_svhn(folder.write(name, svhn_file(images, true, first_label)))->identity();
  };
  const std::string expected = identity_of("train_32x32.mat", 3, 9);
  EXPECT_NE(identity_of("train_32x32.mat", 3, 8), expected);
  EXPECT_NE(identity_of("train_32x32.mat", 4, 9), expected);
  EXPECT_NE(identity_of("extra_32x32.mat", 3, 9), expected);
  EXPECT_EQ(identity_of("train_32x32.mat", 3, 9), expected);
}

TEST(Svhn, RefusesDamagedFiles) {
  const TempFolder folder;
  const auto error_with = [&](const std::string& content) {
    const fs::path path = folder.write("train_32x32.mat", content);
    return error_of([&] { open_svhn(path); });
  };
  EXPECT_THAT(error_with(svhn_file(1, false, 11)),
              AllOf(HasSubstr("train_32x32.mat: y"), HasSubstr("11, a whole number from 0 to 10")));
  const std::string whole = svhn_file(3, true, 3);
  for (std::size_t length = 0; length < whole.size(); length += 61)
    EXPECT_THAT(error_with(whole.substr(0, length)), HasSubstr("train_32x32.mat")) << length;
  // Ten images are announced and five are there.
  const MatWriter writer;
  const std::string x = writer.matrix(MatWriter::kBytes, {32, 32, 3, 10}, "X",
                                      writer.element(MatWriter::kUint8, std::string(3072 * 5, 7)));
  const std::string y = writer.numbers<double>("y", MatWriter::kDoubles, MatWriter::kDouble,
                                               std::vector<double>(10, 1.0));
  for (const std::string& stored : {x, writer.compressed(x)}) {
    EXPECT_THAT(error_with(writer.file({stored, y})),
                AllOf(HasSubstr("train_32x32.mat: X"), HasSubstr("30720 values are announced"),
                      HasSubstr("15360 are there")));
  }
}

TEST(Svhn, FindsAFlippedBitOfACompressedFile) {
  const TempFolder folder;
  const std::string whole = svhn_file(2, true, 2);
  for (std::size_t at = 140; at + 200 < whole.size(); at += 97) {
    std::string flipped = whole;
    flipped[at] = static_cast<char>(flipped[at] ^ 4);
    const fs::path path = folder.write("train_32x32.mat", flipped);
    EXPECT_THAT(error_of([&] { open_svhn(path); }), HasSubstr("train_32x32.mat")) << at;
  }
}

}  // namespace
}  // namespace invp
