#include "data/sets/svhn.h"

#include <gmock/gmock.h>
#include <matio.h>

#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using ::testing::HasSubstr;
using testing::TempFolder;

/// The byte at `offset` of an image's 3072 as the file has them.
std::uint8_t pixel(std::size_t image, int offset) {
  return static_cast<std::uint8_t>(static_cast<int>(image) * 31 + offset * 7 + offset / 251);
}

/// MATLAB's column-major X (32 x 32 x 3 x n) and y.
void write_svhn(const fs::path& path, std::size_t n, matio_compression compression,
                double first_label) {
  mat_t* file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
  ASSERT_NE(file, nullptr);
  std::vector<std::uint8_t> x(3072 * n);
  for (std::size_t image = 0; image < n; ++image) {
    for (int i = 0; i < 3072; ++i) {
      x[image * 3072 + static_cast<std::size_t>(i)] = pixel(image, i);
    }
  }
  std::vector<double> y(n);
  for (std::size_t i = 0; i < n; ++i) y[i] = first_label - static_cast<double>(i);
  std::size_t x_dims[] = {32, 32, 3, n}, y_dims[] = {n, 1};
  matvar_t* variables[] = {Mat_VarCreate("X", MAT_C_UINT8, MAT_T_UINT8, 4, x_dims, x.data(), 0),
                           Mat_VarCreate("y", MAT_C_DOUBLE, MAT_T_DOUBLE, 2, y_dims, y.data(), 0)};
  for (matvar_t* variable : variables) {
    Mat_VarWrite(file, variable, compression);
    Mat_VarFree(variable);
  }
  Mat_Close(file);
}

TEST(Svhn, ReadsBothFormsOfTheFile) {
  const TempFolder folder;
  write_svhn(folder / "train_32x32.mat", 4, MAT_COMPRESSION_ZLIB, 10);
  write_svhn(folder / "test_32x32.mat", 2, MAT_COMPRESSION_NONE, 2);
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
    write_svhn(folder / name, images, MAT_COMPRESSION_ZLIB, first_label);
    return open_svhn(folder / name)->identity();
  };
  const std::string expected = identity_of("train_32x32.mat", 3, 9);
  EXPECT_NE(identity_of("train_32x32.mat", 3, 8), expected);
  EXPECT_NE(identity_of("train_32x32.mat", 4, 9), expected);
  EXPECT_NE(identity_of("extra_32x32.mat", 3, 9), expected);
  EXPECT_EQ(identity_of("train_32x32.mat", 3, 9), expected);
}

TEST(Svhn, RefusesDamagedFiles) {
  const TempFolder folder;
  const fs::path path = folder / "train_32x32.mat";
  write_svhn(path, 1, MAT_COMPRESSION_NONE, 11);
  EXPECT_THAT(error_of([&] { open_svhn(path); }),
              AllOf(HasSubstr("train_32x32.mat: y"), HasSubstr("11, a whole number from 0 to 10")));
  write_svhn(path, 3, MAT_COMPRESSION_ZLIB, 3);
  const std::string whole = testing::read_all(path);
  for (std::size_t length = 0; length + 8 < whole.size(); length += 61) {
    folder.write("train_32x32.mat", whole.substr(0, length));
    EXPECT_THAT(error_of([&] { open_svhn(path); }), HasSubstr("train_32x32.mat")) << length;
  }
}

}  // namespace
}  // namespace invp
