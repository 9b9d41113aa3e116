// Flowers-102 and Stanford Cars in their official forms, made here on a small scale, and broken
// ones.
#include <gmock/gmock.h>
#include <matio.h>

#include "data/sets/fine_grained.h"
#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/data/sets/files.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Variable = std::unique_ptr<matvar_t, void (*)(matvar_t*)>;

/// A row of numbers of any class.
template <class T>
Variable numbers(const char* name, matio_classes as, matio_types type, std::vector<T> values) {
  std::size_t dims[] = {1, values.size()};
  return {Mat_VarCreate(name, as, type, 2, dims, values.data(), 0), Mat_VarFree};
}

matvar_t* text(const char* name, std::string value) {
  std::size_t dims[] = {1, value.size()};
  return Mat_VarCreate(name, MAT_C_CHAR, MAT_T_UTF8, 2, dims, value.data(), 0);
}

void write_mat(const fs::path& path, const std::vector<matvar_t*>& variables,
               matio_compression compression = MAT_COMPRESSION_ZLIB) {
  fs::create_directories(path.parent_path());
  mat_t* file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
  ASSERT_NE(file, nullptr);
  for (matvar_t* variable : variables) Mat_VarWrite(file, variable, compression);
  Mat_Close(file);
}

void write_flowers(const TempFolder& folder, std::vector<std::uint8_t> labels,
                   std::vector<std::uint16_t> valid = {1}) {
  const Variable label = numbers("labels", MAT_C_UINT8, MAT_T_UINT8, std::move(labels));
  write_mat(folder / "imagelabels.mat", {label.get()});
  // The class of the numbers varies from copy to copy.
  const Variable train = numbers<double>("trnid", MAT_C_DOUBLE, MAT_T_DOUBLE, {3, 4});
  const Variable val = numbers("valid", MAT_C_UINT16, MAT_T_UINT16, std::move(valid));
  const Variable test = numbers<std::uint16_t>("tstid", MAT_C_UINT16, MAT_T_UINT16, {2});
  write_mat(folder / "setid.mat", {train.get(), val.get(), test.get()});
  write_pictures(folder, {"jpg/image_00001.jpg", "jpg/image_00002.jpg", "jpg/image_00003.jpg",
                          "jpg/image_00004.jpg"});
}

TEST(FineGrained, FlowersFollowTheirIds) {
  const TempFolder folder;
  write_flowers(folder, {1, 102, 77, 5});
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "flowers102");
  const auto train = open_dataset(source, "train");
  EXPECT_THAT(labels_of(*train), ElementsAre(76, 4, 0));  // trnid, then valid
  EXPECT_THAT(train->name(0), ::testing::EndsWith("jpg/image_00003.jpg"));
  EXPECT_EQ(train->classes().size(), 102u);
  EXPECT_EQ(train->classes()[76], "77");
  EXPECT_THAT(labels_of(*open_dataset(source, "test")), ElementsAre(101));
}

TEST(FineGrained, TheIdentityOfFlowersIsThatOfFilesAndLabels) {
  const auto identity_of = [](std::uint8_t label, std::string_view picture) {
    const TempFolder folder;
    write_flowers(folder, {1, 102, 77, label});
    folder.write("jpg/image_00004.jpg", picture);
    return open_flowers102(folder.path(), true)->identity();
  };
  const std::string expected = identity_of(5, "picture");
  EXPECT_EQ(identity_of(5, "picture"), expected);
  EXPECT_NE(identity_of(6, "picture"), expected);
  EXPECT_NE(identity_of(5, "larger picture"), expected);
}

TEST(FineGrained, FlowersNameTheElementThatIsWrong) {
  const TempFolder folder;
  const auto open = [&] { open_flowers102(folder.path(), true); };
  write_flowers(folder, {1, 102, 103, 5});
  EXPECT_THAT(error_of(open), AllOf(HasSubstr("imagelabels.mat: labels(3)"), HasSubstr("103")));
  write_flowers(folder, {1, 102, 77, 5}, {9});
  EXPECT_THAT(error_of(open), AllOf(HasSubstr("setid.mat: valid"), HasSubstr("is 9")));
  write_flowers(folder, {1, 102, 77, 5});
  fs::remove(folder / "jpg/image_00003.jpg");
  EXPECT_THAT(error_of(open), AllOf(HasSubstr("image_00003.jpg"), HasSubstr("no such file")));
  for (const char* name : {"imagelabels.mat", "setid.mat"}) {
    write_flowers(folder, {1, 102, 77, 5});
    const std::string whole = read_all(folder / name);
    for (std::size_t length = 0; length + 8 < whole.size(); length += 13) {
      folder.write(name, whole.substr(0, length));
      // Each split reads its own variables.
      EXPECT_THAT(error_of([&] {
                    open_flowers102(folder.path(), true);
                    open_flowers102(folder.path(), false);
                  }),
                  HasSubstr(name))
          << "cut to " << length;
    }
  }
}

struct Car {
  double label;
  const char* file;
  double test = 0;
};

/// The structures `annotations` of a file, as MATLAB writes them.
void write_cars(const fs::path& path, const std::vector<Car>& cars, bool both = false) {
  const auto number = [](const char* name, double value) {
    return numbers<double>(name, MAT_C_DOUBLE, MAT_T_DOUBLE, {value}).release();
  };
  std::vector<matvar_t*> fields;  // car by car; the structure takes them over
  for (const Car& car : cars) {
    fields.push_back(number("bbox_x1", 39));
    fields.push_back(number("class", car.label));
    fields.push_back(text(both ? "relative_im_path" : "fname", car.file));
    if (both) fields.push_back(number("test", car.test));
  }
  fields.push_back(nullptr);
  std::size_t dims[] = {1, cars.size()};
  const Variable annotations(
      Mat_VarCreate("annotations", MAT_C_STRUCT, MAT_T_STRUCT, 2, dims, fields.data(), 0),
      Mat_VarFree);
  std::size_t name_dims[] = {1, 196};
  const Variable names(
      Mat_VarCreate("class_names", MAT_C_CELL, MAT_T_CELL, 2, name_dims, nullptr, 0), Mat_VarFree);
  for (int i = 0; i < 196; ++i)
    Mat_VarSetCell(names.get(), i, text(nullptr, message("Car ", i + 1)));
  write_mat(path,
            both ? std::vector{annotations.get(), names.get()} : std::vector{annotations.get()});
  if (!both) write_mat(path.parent_path() / "cars_meta.mat", {names.get()});
}

TEST(FineGrained, CarsComeInTwoForms) {
  const TempFolder folder;
  write_cars(folder / "a/devkit/cars_train_annos.mat", {{14, "00001.jpg"}, {196, "00002.jpg"}});
  write_cars(folder / "a/cars_test_annos_withlabels.mat", {{1, "00001.jpg"}});
  write_pictures(folder,
                 {"a/cars_train/00001.jpg", "a/cars_train/00002.jpg", "a/cars_test/00001.jpg"});
  const DataSource source{.path = folder / "a"};
  EXPECT_EQ(resolve_format(source), "cars");
  const auto train = open_dataset(source, "train");
  EXPECT_THAT(labels_of(*train), ElementsAre(13, 195));
  EXPECT_EQ(train->classes()[195], "Car 196");
  EXPECT_THAT(train->name(1), ::testing::EndsWith("cars_train/00002.jpg"));
  EXPECT_THAT(open_dataset(source, "test")->name(0), ::testing::EndsWith("cars_test/00001.jpg"));

  write_cars(folder / "b/cars_annos.mat", {{2, "car_ims/1.jpg", 1}, {3, "car_ims/2.jpg", 0}}, true);
  write_pictures(folder, {"b/car_ims/1.jpg", "b/car_ims/2.jpg"});
  EXPECT_THAT(labels_of(*open_dataset({.path = folder / "b"}, "train")), ElementsAre(2));
  EXPECT_THAT(labels_of(*open_dataset({.path = folder / "b"}, "test")), ElementsAre(1));
}

TEST(FineGrained, CarsNameTheEntryThatIsWrong) {
  const TempFolder folder;
  const fs::path file = folder / "devkit/cars_train_annos.mat";
  const auto open = [&] { open_cars(folder.path(), true); };
  write_pictures(folder, {"cars_train/1.jpg"});
  write_cars(file, {{1, "1.jpg"}, {197, "2.jpg"}});
  EXPECT_THAT(error_of(open),
              AllOf(HasSubstr("cars_train_annos.mat: annotations(2).class"), HasSubstr("197")));
  write_cars(file, {{0.5, "1.jpg"}});
  EXPECT_THAT(error_of(open), HasSubstr("whole number"));
  write_cars(file, {{1, "gone.jpg"}});
  EXPECT_THAT(error_of(open), AllOf(HasSubstr("gone.jpg"), HasSubstr("no such file")));
  EXPECT_THAT(error_of([&] { open_cars(folder.path(), false); }),
              HasSubstr("cars_test_annos_withlabels.mat"));
  write_cars(file, {{1, "1.jpg"}, {2, "1.jpg"}, {3, "1.jpg"}});
  const std::string whole = read_all(file);
  for (std::size_t length = 0; length + 8 < whole.size(); length += 7) {
    folder.write("devkit/cars_train_annos.mat", whole.substr(0, length));
    EXPECT_THAT(error_of(open), HasSubstr("cars_train_annos.mat")) << "cut to " << length;
  }
}

}  // namespace
}  // namespace invp::testing
