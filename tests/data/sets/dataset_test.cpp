#include <gmock/gmock.h>

#include "data/images/encode.h"
#include "data/sets/cifar.h"
#include "data/sets/file_list.h"
#include "data/sets/image_folder.h"
#include "data/sets/open_dataset.h"
#include "engine/core/error.h"
#include "tests/support/temp_folder.h"

namespace invp {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using testing::error_of;
using testing::golden;
using ::testing::HasSubstr;
using testing::TempFolder;

/// A PPM, which the decoder reads and which needs no library to write.
std::string picture(int width, int height, unsigned char value) {
  return "P6\n" + std::to_string(width) + " " + std::to_string(height) + "\n255\n" +
         std::string(static_cast<std::size_t>(3 * width * height), static_cast<char>(value));
}

std::vector<std::string> names_in(const Dataset& dataset, const fs::path& root) {
  std::vector<std::string> names;
  for (std::int64_t i = 0; i < dataset.size(); ++i) {
    names.push_back(fs::path(dataset.name(i)).lexically_relative(root).string());
  }
  return names;
}

TEST(Dataset, AnImageThatIsNotThereIsAnError) {
  const TempFolder folder;
  folder.write("a/1.ppm", picture(3, 2, 1));
  folder.write("b/2.ppm", picture(3, 2, 2));
  const auto set = open_image_folder(folder.path());
  Sample sample;
  for (const std::int64_t index : {std::int64_t{-1}, std::int64_t{2}, std::int64_t{1} << 62}) {
    const auto expected = AllOf(HasSubstr(std::to_string(index)), HasSubstr("has 2"));
    EXPECT_THAT(error_of([&] { set->label(index); }), expected);
    EXPECT_THAT(error_of([&] { set->name(index); }), expected);
    EXPECT_THAT(error_of([&] { set->fetch(index, sample); }), expected);
    EXPECT_THAT(error_of([&] { set->load(index); }), expected);
  }
}

TEST(ImageFolder, SortsByCodePointAndFolderByFolder) {
  const TempFolder folder;
  for (const char* name : {"b/2.jpg", "b/10.PNG", "b/sub/0.jpeg", "b/a sub/9.bmp", "Zebra/x.ppm",
                           "a/1.webp", "b/notes.txt", "b/sub.dir/1.tif"}) {
    folder.write(name, "x");
  }
  const auto set = open_image_folder(folder.path());
  EXPECT_THAT(set->classes(), ElementsAre("Zebra", "a", "b"));
  EXPECT_THAT(names_in(*set, folder.path()),
              ElementsAre("Zebra/x.ppm", "a/1.webp", "b/10.PNG", "b/2.jpg", "b/a sub/9.bmp",
                          "b/sub/0.jpeg", "b/sub.dir/1.tif"));
  EXPECT_EQ(set->label(0), 0);
  EXPECT_EQ(set->label(1), 1);
  EXPECT_EQ(set->label(6), 2);
  EXPECT_EQ(set->kind(), "imagefolder");
}

TEST(ImageFolder, LoadsPictures) {
  const TempFolder folder;
  folder.write("a/1.ppm", picture(3, 2, 77));
  const Image image = open_image_folder(folder.path())->load(0);
  EXPECT_EQ(image.width, 3);
  EXPECT_EQ(image.height, 2);
  EXPECT_EQ(image.at(2, 1)[1], 77);
}

TEST(ImageFolder, SaysWhatIsWrong) {
  const TempFolder folder;
  const auto says = [&] { return error_of([&] { open_image_folder(folder.path()); }); };
  EXPECT_THAT(error_of([&] { open_image_folder(folder / "none"); }),
              AllOf(HasSubstr("none"), HasSubstr("no such folder")));
  EXPECT_THAT(says(), HasSubstr("the folder is empty"));
  folder.write("b/readme.txt", "x");
  EXPECT_THAT(says(), AllOf(HasSubstr("holds no picture"), HasSubstr("readme.txt")));
}

TEST(ImageFolder, BrokenFilesAreNamedWhenTheyAreRead) {
  const TempFolder folder;
  folder.write("a/zero.jpg", "");
  folder.write("a/text.png", "no picture");
  const auto set = open_image_folder(folder.path());
  EXPECT_THAT(error_of([&] { set->load(0); }), HasSubstr("text.png"));
  EXPECT_THAT(error_of([&] { set->load(1); }), AllOf(HasSubstr("zero.jpg"), HasSubstr("empty")));
  fs::remove(folder / "a/zero.jpg");
  EXPECT_THAT(error_of([&] { set->load(1); }),
              AllOf(HasSubstr("zero.jpg"), HasSubstr("No such file")));
}

// --- CIFAR

unsigned char cifar_byte(std::int64_t row, int plane, int y, int x, int shift) {
  return static_cast<unsigned char>(row * 31 + plane * 67 + y * 5 + x * 3 + shift);
}

std::string cifar_record(const std::vector<int>& labels, std::int64_t row, int shift) {
  std::string record;
  for (const int label : labels) record += static_cast<char>(label);
  for (int plane = 0; plane < 3; ++plane) {
    for (int i = 0; i < 1024; ++i)
      record += static_cast<char>(cifar_byte(row, plane, i / 32, i % 32, shift));
  }
  return record;
}

void expect_cifar(const Dataset& set, std::int64_t index, std::int64_t row, int shift) {
  const Image image = set.load(index);
  ASSERT_EQ(image.width, 32);
  ASSERT_EQ(image.height, 32);
  for (int y = 0; y < 32; ++y) {
    for (int x = 0; x < 32; ++x) {
      for (int c = 0; c < 3; ++c)
        ASSERT_EQ(image.at(x, y)[c], cifar_byte(row, c, y, x, shift)) << index;
    }
  }
}

TEST(CifarSet, ReadsTheFiveOfficialBinaryBatches) {
  const TempFolder folder;
  for (int batch = 1; batch <= 5; ++batch) {
    folder.write("cifar-10-batches-bin/data_batch_" + std::to_string(batch) + ".bin",
                 cifar_record({batch}, 0, batch) + cifar_record({batch + 1}, 1, batch));
  }
  folder.write("cifar-10-batches-bin/test_batch.bin", cifar_record({9}, 0, 9));
  folder.write("cifar-10-batches-bin/batches.meta.txt",
               "c0\nc1\r\nc2\nc3\nc4\nc5\nc6\nc7\nc8\nc9\n\n");
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "cifar10");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "test"));
  const auto train = open_dataset(source, "train");
  ASSERT_EQ(train->size(), 10);
  EXPECT_EQ(train->label(4), 3);
  EXPECT_EQ(train->label(5), 4);
  expect_cifar(*train, 5, 1, 3);
  EXPECT_THAT(train->name(5), HasSubstr("data_batch_3.bin[1]"));
  EXPECT_EQ(train->classes()[1], "c1");
  EXPECT_EQ(open_dataset(source, "val")->size(), 1);

  // Names of one text that is recalled again and again are not copied.
  fs::remove(folder / "cifar-10-batches-bin/batches.meta.txt");
  const auto write_names = [&](std::size_t bytes, int times) {
    std::string pickle = "\x80\x02}U\x0blabel_names](B";
    for (int shift = 0; shift < 32; shift += 8) pickle += static_cast<char>(bytes >> shift & 255);
    pickle += std::string(bytes, 'n') + std::string("q\0", 2);
    for (int i = 1; i < times; ++i) pickle += std::string("h\0", 2);
    folder.write("cifar-10-batches-bin/batches.meta", pickle + "es.");
  };
  write_names(3, 10);
  EXPECT_EQ(open_dataset(source, "train")->classes()[9], "nnn");
  write_names(1'000'000, 100'000);
  EXPECT_EQ(open_dataset(source, "train")->classes().size(), 10u);
  write_names(1'000'000, 10);
  EXPECT_THAT(error_of([&] { open_dataset(source, "train"); }),
              HasSubstr("a class name of 1000000 bytes"));
  fs::remove(folder / "cifar-10-batches-bin/batches.meta");

  fs::remove(folder / "cifar-10-batches-bin/data_batch_4.bin");
  EXPECT_THAT(error_of([&] { open_dataset(source, "train"); }),
              AllOf(HasSubstr("data_batch_4.bin"), HasSubstr("missing")));
}

TEST(CifarSet, TellsTheTwoApartByTheLengthOfTheirRecords) {
  const TempFolder ten, hundred;
  ten.write("train.bin", cifar_record({3}, 0, 1));
  hundred.write("train.bin", cifar_record({19, 99}, 0, 1));
  EXPECT_EQ(resolve_format({.path = ten.path()}), "cifar10");
  EXPECT_EQ(resolve_format({.path = hundred.path()}), "cifar100");
  const auto set = open_dataset({.path = hundred.path()}, "train");
  EXPECT_EQ(set->label(0), 99);
  EXPECT_EQ(set->classes().size(), 100u);
  expect_cifar(*set, 0, 0, 1);
  EXPECT_THAT(error_of([&] { open_dataset({.path = ten.path()}, "test"); }),
              HasSubstr("test_batch.bin"));
}

TEST(CifarSet, NamesFilesOfAWrongLengthOrLabel) {
  const TempFolder folder;
  const auto path = folder.write("train.bin", cifar_record({3}, 0, 1).substr(1));
  const auto says = [&] {
    return error_of([&] { open_dataset({.path = folder.path()}, "train"); });
  };
  EXPECT_THAT(says(), AllOf(HasSubstr(path.string()), HasSubstr("3072 bytes"), HasSubstr("3073")));
  folder.write("train.bin", "");
  EXPECT_THAT(says(), HasSubstr("0 bytes"));
  folder.write("train.bin", cifar_record({3}, 0, 1) + cifar_record({10}, 0, 1));
  EXPECT_THAT(says(), AllOf(HasSubstr("record 1"), HasSubstr("label 10")));
}

TEST(CifarSet, ReadsThePythonVersions) {
  const DataSource ten{.path = golden("files/cifar10-py")};
  EXPECT_EQ(resolve_format(ten), "cifar10");
  const auto train = open_dataset(ten, "train");
  ASSERT_EQ(train->size(), 15);
  EXPECT_EQ(train->classes()[9], "class9");
  for (std::int64_t i = 0; i < 15;
       ++i) {  // batches 1 and 2 in Python 2's form, 3 and 4 and 5 in newer ones
    EXPECT_EQ(train->label(i), (i / 3 + 1 + i % 3) % 10);
    expect_cifar(*train, i, i % 3, static_cast<int>(i / 3) + 1);
  }
  EXPECT_EQ(open_dataset(ten, "test")->label(0), 9);
  const DataSource hundred{.path = golden("files/cifar100-py")};
  EXPECT_EQ(resolve_format(hundred), "cifar100");
  const auto test = open_dataset(hundred, "test");
  EXPECT_EQ(test->label(0), 99);
  EXPECT_EQ(test->label(1), 2);
  expect_cifar(*test, 1, 1, 2);
}

TEST(CifarSet, ReadsPicklesOfEveryProtocol) {
  const auto want = open_cifar(golden("files/cifar10-py"), Cifar::k10, false);
  for (int protocol = 0; protocol <= 5; ++protocol) {
    const auto folder = golden("files/cifar10-protocols") / std::to_string(protocol);
    const auto set = open_cifar(folder, Cifar::k10, false);
    ASSERT_EQ(set->size(), 2) << protocol;
    for (std::int64_t i = 0; i < 2; ++i) {
      EXPECT_EQ(set->label(i), i == 0 ? 9 : 0) << protocol;
      EXPECT_EQ(set->load(i).pixels, want->load(i).pixels) << protocol;
    }
  }
}

TEST(CifarSet, RefusesPicklesThatAreNoBatch) {
  const TempFolder folder;
  for (const char* hostile : {"\x80\x02"
                              "cos\nsystem\nU\x02id\x85R.",
                              "\x80\x02}.", "\x80\x02K\x01.", "\x80"}) {
    folder.write("test_batch", hostile);
    EXPECT_THAT(error_of([&] { open_cifar(folder.path(), Cifar::k10, false); }),
                HasSubstr("test_batch"));
  }
  const std::string whole = testing::read_all(golden("files/cifar10-py/test_batch"));
  for (std::size_t length = 0; length < whole.size(); length += length < 400 ? 1 : 97) {
    folder.write("test_batch", whole.substr(0, length));
    EXPECT_THROW(open_cifar(folder.path(), Cifar::k10, false), Error) << length;
  }
}

// --- lists

TEST(FileList, TakesCommaSpaceTabAndEitherLineEnd) {
  const TempFolder folder;
  folder.write("a b/1.ppm", picture(1, 1, 5));
  const auto list = folder.write("train.txt", "a b/1.ppm 4\r\n\nx.jpg,0\n y.jpg\t2 \nz,w.jpg , 3");
  const auto set = open_file_list(list, folder.path());
  EXPECT_THAT(names_in(*set, folder.path()),
              ElementsAre("a b/1.ppm", "x.jpg", "y.jpg", "z,w.jpg ,"));
  EXPECT_EQ(set->label(0), 4);
  EXPECT_EQ(set->label(3), 3);
  EXPECT_EQ(set->classes().size(), 5u);
  EXPECT_EQ(set->load(0).pixels[0], 5);
}

TEST(FileList, NamesTheLineThatIsWrong) {
  const TempFolder folder;
  folder.write("a.ppm", "x");
  for (const char* line : {"a.ppm", "a.ppm,", "a.ppm,-1", "a.ppm,1x", "a.ppm 1.5", "7",
                           "a.ppm 1000000", "a.ppm 99999999999"}) {
    const auto list = folder.write("l.txt", std::string("a.ppm 1\n\n") + line + "\n");
    EXPECT_THAT(error_of([&] { open_file_list(list, folder.path()); }),
                AllOf(HasSubstr("l.txt"), HasSubstr("line 3")))
        << line;
  }
  EXPECT_THAT(error_of([&] { open_file_list(folder.write("l.txt", "\n"), folder.path()); }),
              HasSubstr("empty"));
  EXPECT_THAT(error_of([&] { open_file_list(folder.write("l.txt", "gone.jpg 1"), folder.path()); }),
              HasSubstr("gone.jpg"));
}

// --- what stands at a path

TEST(OpenDataset, FindsImageFolderSplits) {
  const TempFolder folder;
  folder.write("train/a/1.ppm", picture(1, 1, 1));
  folder.write("train/a/2.ppm", picture(1, 1, 1));
  folder.write("validation/a/3.ppm", picture(1, 1, 1));
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "imagefolder");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train", "val"));
  EXPECT_EQ(open_dataset(source, "train")->size(), 2);
  EXPECT_EQ(open_dataset(source, "val")->size(), 1);
  EXPECT_EQ(open_dataset(source, "test")->size(), 1);
  const DataSource classes{.path = folder / "train"};
  EXPECT_EQ(open_dataset(classes, "train")->size(), 2);
  EXPECT_THAT(error_of([&] { open_dataset(classes, "val"); }), HasSubstr("no split \"val\""));
}

TEST(OpenDataset, FindsListsBesideEachOther) {
  const TempFolder folder;
  folder.write("1.ppm", picture(1, 1, 1));
  const auto train = folder.write("car_train.txt", "1.ppm,0\n");
  folder.write("car_test.txt", "1.ppm,0\n1.ppm,1\n");
  EXPECT_EQ(open_dataset({.path = train}, "train")->size(), 1);
  EXPECT_EQ(open_dataset({.path = train}, "val")->size(), 2);
  EXPECT_THAT(dataset_splits({.path = train}), ElementsAre("train", "test"));
  folder.write("car_val.txt", "1.ppm,0\n1.ppm,1\n1.ppm,1\n");
  EXPECT_THAT(dataset_splits({.path = train}), ElementsAre("train", "val", "test"));
  EXPECT_EQ(open_dataset({.path = train}, "val")->size(), 3);
  EXPECT_EQ(open_dataset({.path = train}, "test")->size(), 2);
  folder.write("train.txt", "1.ppm 0\n");
  EXPECT_EQ(resolve_format({.path = folder.path()}), "list");
  EXPECT_THAT(error_of([&] { open_dataset({.path = folder.path()}, "val"); }),
              HasSubstr("val.txt"));
}

TEST(OpenDataset, EveryFormatItNamesCanBeAskedFor) {
  const TempFolder folder;
  folder.write("notes", "x");
  for (const std::string& format : dataset_formats()) {
    if (format == "auto" || format == "synthetic") continue;
    const DataSource source{.path = folder.path(), .format = format};
    EXPECT_EQ(resolve_format(source), format);
    EXPECT_THAT(error_of([&] { open_dataset(source, "train"); }), HasSubstr(folder.path().string()))
        << format;
  }
}

TEST(OpenDataset, SaysWhatIsWrong) {
  const TempFolder folder;
  const auto says = [&](const DataSource& source, const char* split = "train") {
    return error_of([&] { open_dataset(source, split); });
  };
  EXPECT_THAT(says({}), HasSubstr("--data PATH"));
  EXPECT_THAT(says({.path = folder / "none"}), HasSubstr("no such file or folder"));
  EXPECT_THAT(says({.path = folder.path()}), HasSubstr("the folder is empty"));
  EXPECT_THAT(says({.path = folder.path(), .format = "cifar"}),
              AllOf(HasSubstr("unknown format"), HasSubstr("cifar10")));
  EXPECT_THAT(says({.path = folder.path()}, "training"), HasSubstr("unknown split"));
  EXPECT_THAT(says({.path = folder.write("x.zip", "")}), HasSubstr("unzip"));
  EXPECT_THAT(says({.path = folder.write("x.bin", "")}), HasSubstr("unknown kind"));
}

TEST(OpenDataset, DrawsTheSyntheticSet) {
  DataSource source{.format = "synthetic"};
  source.synthetic_train = 30;
  source.synthetic_val = 7;
  const auto train = open_dataset(source, "train");
  EXPECT_EQ(train->size(), 30);
  EXPECT_EQ(open_dataset(source, "val")->size(), 7);
  EXPECT_EQ(train->classes().size(), 10u);
  EXPECT_EQ(train->load(12), draw_synthetic(source.synthetic, SyntheticSplit::kTrain, 12));
  EXPECT_EQ(train->label(12), synthetic_label(source.synthetic, 12));
}

}  // namespace
}  // namespace invp
