// Flowers-102 and Stanford Cars in their official forms, made here on a small scale, and broken
// ones.
#include <gmock/gmock.h>

#include "data/sets/fine_grained.h"
#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/data/sets/files.h"
#include "tests/data/sets/mat_writer.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using W = MatWriter;

/// The file with its variables compressed, as releases are.
void write_mat(const TempFolder& folder, std::string_view path,
               const std::vector<std::string>& variables, const W& writer = W()) {
  std::vector<std::string> compressed;
  for (const std::string& variable : variables) compressed.push_back(writer.compressed(variable));
  folder.write(path, writer.file(compressed));
}

void write_flowers(const TempFolder& folder, const std::vector<std::uint8_t>& labels,
                   const std::vector<std::uint16_t>& valid = {1}) {
  const W writer;
  write_mat(folder, "imagelabels.mat", {writer.numbers("labels", W::kBytes, W::kUint8, labels)});
  // The class of the numbers varies from copy to copy, and how they are stored.
  constexpr std::uint32_t kUint16s = 11;
  write_mat(folder, "setid.mat",
            {writer.numbers<double>("trnid", W::kDoubles, W::kDouble, {3, 4}),
             writer.numbers("valid", W::kDoubles, W::kUint16, valid),
             writer.numbers<std::uint16_t>("tstid", kUint16s, W::kUint16, {2})});
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
  write_flowers(folder, {1, 102, 77, 5}, {1, 1, 1, 1, 1});
  EXPECT_THAT(error_of(open), HasSubstr("setid.mat: valid: names 5 images of 4"));
  write_flowers(folder, std::vector<std::uint8_t>(100'001, 1));
  EXPECT_THAT(error_of(open), HasSubstr("imagelabels.mat: labels: 100001 images"));
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
void write_cars(const TempFolder& folder, const std::string& path, const std::vector<Car>& cars,
                bool both = false) {
  const W writer;
  const auto number = [&](double value) {
    return writer.numbers<double>("", W::kDoubles, W::kDouble, {value});
  };
  std::vector<std::string> fields;  // car by car
  for (const Car& car : cars) {
    fields.push_back(number(39));
    fields.push_back(number(car.label));
    fields.push_back(writer.text("", car.file));
    if (both) fields.push_back(number(car.test));
  }
  std::vector<std::string> field_names = {"bbox_x1", "class", both ? "relative_im_path" : "fname"};
  if (both) field_names.emplace_back("test");
  const std::string annotations =
      writer.structs("annotations", static_cast<std::int32_t>(cars.size()), field_names, fields);
  std::vector<std::string> cells;
  for (int i = 1; i <= 196; ++i) cells.push_back(writer.text("", message("Car ", i)));
  const std::string names = writer.cells("class_names", cells);
  write_mat(folder, path, both ? std::vector{annotations, names} : std::vector{annotations});
  if (!both) write_mat(folder, (fs::path(path).parent_path() / "cars_meta.mat").string(), {names});
}

TEST(FineGrained, CarsComeInTwoForms) {
  const TempFolder folder;
  write_cars(folder, "a/devkit/cars_train_annos.mat", {{14, "00001.jpg"}, {196, "00002.jpg"}});
  write_cars(folder, "a/cars_test_annos_withlabels.mat", {{1, "00001.jpg"}});
  write_pictures(folder,
                 {"a/cars_train/00001.jpg", "a/cars_train/00002.jpg", "a/cars_test/00001.jpg"});
  const DataSource source{.path = folder / "a"};
  EXPECT_EQ(resolve_format(source), "cars");
  const auto train = open_dataset(source, "train");
  EXPECT_THAT(labels_of(*train), ElementsAre(13, 195));
  EXPECT_EQ(train->classes()[195], "Car 196");
  EXPECT_THAT(train->name(1), ::testing::EndsWith("cars_train/00002.jpg"));
  EXPECT_THAT(open_dataset(source, "test")->name(0), ::testing::EndsWith("cars_test/00001.jpg"));

  write_cars(folder, "b/cars_annos.mat", {{2, "car_ims/1.jpg", 1}, {3, "car_ims/2.jpg", 0}}, true);
  write_pictures(folder, {"b/car_ims/1.jpg", "b/car_ims/2.jpg"});
  EXPECT_THAT(labels_of(*open_dataset({.path = folder / "b"}, "train")), ElementsAre(2));
  EXPECT_THAT(labels_of(*open_dataset({.path = folder / "b"}, "test")), ElementsAre(1));
}

TEST(FineGrained, CarsNameTheEntryThatIsWrong) {
  const TempFolder folder;
  const std::string file = "devkit/cars_train_annos.mat";
  const auto open = [&] { open_cars(folder.path(), true); };
  write_pictures(folder, {"cars_train/1.jpg"});
  write_cars(folder, file, {{1, "1.jpg"}, {197, "2.jpg"}});
  EXPECT_THAT(error_of(open),
              AllOf(HasSubstr("cars_train_annos.mat: annotations(2).class"), HasSubstr("197")));
  write_cars(folder, file, {{0.5, "1.jpg"}});
  EXPECT_THAT(error_of(open), HasSubstr("whole number"));
  write_cars(folder, file, {{1, "gone.jpg"}});
  EXPECT_THAT(error_of(open), AllOf(HasSubstr("gone.jpg"), HasSubstr("no such file")));
  EXPECT_THAT(error_of([&] { open_cars(folder.path(), false); }),
              HasSubstr("cars_test_annos_withlabels.mat"));
  write_cars(folder, file, {{1, "1.jpg"}, {2, "1.jpg"}, {3, "1.jpg"}});
  const std::string whole = read_all(folder / file);
  for (std::size_t length = 0; length + 8 < whole.size(); length += 7) {
    folder.write(file, whole.substr(0, length));
    EXPECT_THAT(error_of(open), HasSubstr("cars_train_annos.mat")) << "cut to " << length;
  }
}

}  // namespace
}  // namespace invp::testing
