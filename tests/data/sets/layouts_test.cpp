// Data sets as downloads, torchvision and Kaggle lay them out: each is found from its own folder
// and from the one around it.
#include <gmock/gmock.h>

#include "data/sets/splits.h"
#include "engine/core/error.h"
#include "tests/data/sets/files.h"
#include "tests/data/sets/mat_writer.h"

namespace invp::testing {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using W = MatWriter;

/// The annotations of Stanford Cars for pictures 00001.jpg, ... of these classes from 1.
std::string cars(const std::vector<double>& classes) {
  const W writer;
  std::vector<std::string> fields;
  for (std::size_t i = 0; i < classes.size(); ++i) {
    fields.push_back(writer.numbers<double>("", W::kDoubles, W::kDouble, {classes[i]}));
    fields.push_back(writer.text("", message("0000", i + 1, ".jpg")));
  }
  return writer.file({writer.structs("annotations", static_cast<std::int32_t>(classes.size()),
                                     {"class", "fname"}, fields)});
}

// --- Stanford Cars

TEST(Layouts, CarsAsTorchvisionHasThem) {
  const TempFolder folder;
  const std::string root = "stanford_cars/";
  folder.write(root + "devkit/cars_train_annos.mat", cars({3, 4}));
  folder.write(root + "cars_test_annos_withlabels.mat", cars({4}));
  folder.write(root + "car_devkit.tgz", "packed");
  write_pictures(folder, {root + "cars_train/00001.jpg", root + "cars_train/00002.jpg",
                          root + "cars_test/00001.jpg"});
  for (const auto& path : {folder.path(), folder / "stanford_cars"}) {
    EXPECT_EQ(resolve_source({.path = path}).path, folder / "stanford_cars");
    EXPECT_EQ(resolve_format({.path = path}), "cars");
    EXPECT_THAT(labels_of(*open_split({.path = path}, "train")), ElementsAre(2, 3));
    EXPECT_THAT(labels_of(*open_split({.path = path}, "test")), ElementsAre(3));
    EXPECT_THAT(labels_of(*open_split({.path = path, .format = "cars"}, "test")), ElementsAre(3));
  }
}

TEST(Layouts, CarsAsKaggleHasThem) {
  const TempFolder folder;
  // Lists car_ims/, which this copy does not have.
  folder.write("cars_annos.mat", "not read");
  folder.write("car_devkit/devkit/cars_train_annos.mat", cars({1}));
  folder.write("cars_test_annos_withlabels (1).mat", cars({2}));
  write_pictures(folder, {"cars_train/cars_train/00001.jpg", "cars_test/cars_test/00001.jpg"});
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "cars");
  EXPECT_THAT(open_split(source, "train")->name(0), EndsWith("cars_train/cars_train/00001.jpg"));
  EXPECT_THAT(labels_of(*open_split(source, "test")), ElementsAre(1));
  const TempFolder flat;
  flat.write("cars_train_annos.mat", cars({5}));
  write_pictures(flat, {"cars_train/00001.jpg"});
  EXPECT_THAT(labels_of(*open_split({.path = flat.path()}, "train")), ElementsAre(4));
  EXPECT_THAT(dataset_splits({.path = flat.path()}), ElementsAre("train"));
}

TEST(Layouts, CarsNeedTestLabelsOnlyForWhatUsesThem) {
  const TempFolder folder;
  folder.write("devkit/cars_train_annos.mat", cars({1}));
  write_pictures(folder, {"cars_train/00001.jpg", "cars_test/00001.jpg"});
  const DataSource source{.path = folder.path()};
  const auto train = open_labeled_train(source);
  EXPECT_EQ(train->size(), 1);
  EXPECT_FALSE(open_validation(source, *train)->has_labels());
  EXPECT_THAT(error_of([&] { open_labeled_validation(source, *train); }),
              HasSubstr("cars_test_annos_withlabels.mat"));
  // The pictures alone are a set without labels.
  std::filesystem::remove_all(folder / "devkit");
  EXPECT_EQ(open_dataset(source, "train")->size(), 1);
  EXPECT_THAT(error_of([&] { open_labeled_train(source); }), HasSubstr("cars_train_annos.mat"));
}

// --- Caltech-101, Pets, Flowers

TEST(Layouts, CaltechInItsFolders) {
  for (const char* root : {"101_ObjectCategories/", "caltech101/101_ObjectCategories/",
                           "caltech-101/101_ObjectCategories/101_ObjectCategories/",
                           "archive/caltech-101/", "caltech-101/"}) {
    const TempFolder folder;
    for (const char* name :
         {"Faces", "Faces_easy", "Leopards", "Motorbikes", "accordion", "yin_yang"}) {
      write_pictures(folder, {std::string(root) + name + "/image_0001.jpg",
                              std::string(root) + name + "/image_0002.jpg"});
    }
    const DataSource source{.path = folder.path()};
    EXPECT_EQ(resolve_format(source), "caltech101") << root;
    EXPECT_EQ(open_split(source, "train")->classes().size(), 6u) << root;
    EXPECT_EQ(open_split(source, "test")->size(), 6) << root;
  }
}

TEST(Layouts, PetsWithoutTheTestList) {
  const TempFolder folder;
  const std::string root = "oxford-iiit-pet/";
  write_pictures(folder, {root + "images/beagle_1.jpg", root + "images/pug_2.jpg"});
  folder.write(root + "annotations/trainval.txt", "beagle_1 5 2 4\n");
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "pets");
  EXPECT_THAT(dataset_splits(source), ElementsAre("train"));
  EXPECT_EQ(open_validation(source, *open_labeled_train(source)), nullptr);
  // The test list names a class that the training list does not.
  folder.write(root + "annotations/test.txt", "pug_2 26 2 18\n");
  EXPECT_THAT(labels_of(*open_split(source, "test")), ElementsAre(25));
}

TEST(Layouts, PetsInFoldersOfTheSameName) {
  const TempFolder folder;
  write_pictures(folder, {"images/images/beagle_1.jpg"});
  folder.write("annotations/annotations/trainval.txt", "beagle_1 5 2 4\n");
  EXPECT_THAT(open_split({.path = folder.path()}, "train")->name(0),
              EndsWith("images/images/beagle_1.jpg"));
}

TEST(Layouts, FlowersStillPacked) {
  const TempFolder folder;
  const W writer;
  folder.write("flowers-102/imagelabels.mat",
               writer.file({writer.numbers<std::uint8_t>("labels", W::kBytes, W::kUint8, {1})}));
  folder.write("flowers-102/setid.mat",
               writer.file({writer.numbers<std::uint8_t>("trnid", W::kBytes, W::kUint8, {1}),
                            writer.numbers<std::uint8_t>("valid", W::kBytes, W::kUint8, {1}),
                            writer.numbers<std::uint8_t>("tstid", W::kBytes, W::kUint8, {1})}));
  folder.write("flowers-102/102flowers.tgz", "packed");
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(error_of([&] { open_dataset(source, "train"); }),
              AllOf(HasSubstr("102flowers.tgz is still packed"), HasSubstr("tar -xf")));
  write_pictures(folder, {"flowers-102/jpg/image_00001.jpg"});
  EXPECT_EQ(open_split(source, "test")->size(), 1);
}

// --- CIFAR

TEST(Layouts, CifarFromTheFoldersAroundIt) {
  const TempFolder folder;
  const std::string record = std::string(1, '\3') + std::string(3072, 'x');
  for (int batch = 1; batch <= 5; ++batch)
    folder.write(message("cifar-10-python/cifar-10-batches-py/data_batch_", batch), "");
  const DataSource source{.path = folder.path()};
  EXPECT_EQ(resolve_format(source), "cifar10");
  folder.write("cifar-10-python/cifar-10-batches-bin/test_batch.bin", record);
  EXPECT_EQ(open_dataset(source, "test")->size(), 1);
}

TEST(Layouts, SeveralSetsInOneFolderAreAmbiguous) {
  const TempFolder folder;
  folder.write("cifar-10-batches-bin/test_batch.bin", std::string(3073, '\0'));
  folder.write("cifar-100-binary/test.bin", std::string(3074, '\0'));
  folder.write("cifar-100-binary/fine_label_names.txt", "apple\n");
  const DataSource source{.path = folder.path()};
  EXPECT_THAT(error_of([&] { open_dataset(source, "test"); }),
              AllOf(HasSubstr("several data sets"), HasSubstr("cifar-10-batches-bin (cifar10)"),
                    HasSubstr("cifar-100-binary (cifar100)")));
  for (const char* format : {"cifar10", "cifar100"}) {
    const DataSource named{.path = folder.path(), .format = format};
    EXPECT_EQ(open_dataset(named, "test")->kind(), format);
  }
}

// --- PASCAL VOC

/// A tree with one split of one picture, which shows the first of the twenty classes.
void write_voc(const TempFolder& folder, const std::string& year, const std::string& split,
               const std::string& id) {
  write_pictures(folder, {year + "/JPEGImages/" + id + ".jpg"});
  folder.write(year + "/ImageSets/Main/" + split + ".txt", id + "\n");
  for (int c = 0; c < 20; ++c) {
    folder.write(year + "/ImageSets/Main/class" + std::string(1, static_cast<char>('a' + c)) + "_" +
                     split + ".txt",
                 id + (c == 0 ? "  1\n" : " -1\n"));
  }
}

TEST(Layouts, VocInOneTreeOrInTwo) {
  struct Trees {
    const char* trained;
    const char* tested;
  };
  for (const Trees& trees :
       {Trees{"VOCdevkit/VOC2007", "VOCdevkit/VOC2007"},
        Trees{"VOCtrainval_06-Nov-2007/VOCdevkit/VOC2007", "VOCtest_06-Nov-2007/VOCdevkit/VOC2007"},
        Trees{"train/VOCdevkit/VOC2007", "test/VOCdevkit/VOC2007"},
        Trees{"VOC2012_train_val/VOC2012_train_val", "VOC2012_train_val/VOC2012_train_val"}}) {
    const TempFolder folder;
    write_voc(folder, trees.trained, "trainval", "000005");
    write_voc(folder, trees.tested, "test", "000001");
    const DataSource source{.path = folder.path()};
    EXPECT_EQ(resolve_format(source), "voc") << trees.trained;
    EXPECT_THAT(open_split(source, "train")->name(0), EndsWith("000005.jpg"));
    EXPECT_THAT(open_split(source, "val")->name(0), EndsWith("000001.jpg"));
    EXPECT_EQ(open_split(source, "val")->presences(0).size(), 20u);
  }
}

// --- ImageNet

class ImageNet : public ::testing::Test {
 protected:
  void write(const std::string& root) {
    write_pictures(
        folder_,
        {root + "train/n01440764/n01440764_1.JPEG", root + "train/n01443537/n01443537_1.JPEG",
         root + "val/ILSVRC2012_val_00000001.JPEG", root + "val/ILSVRC2012_val_00000002.JPEG"});
  }
  std::vector<std::int64_t> val_labels() {
    const DataSource source{.path = folder_.path()};
    return labels_of(*open_labeled_validation(source, *open_labeled_train(source)));
  }

  TempFolder folder_;
};

TEST_F(ImageNet, AsKaggleHasIt) {
  write("ILSVRC/Data/CLS-LOC/");
  write_pictures(folder_, {"ILSVRC/Data/CLS-LOC/test/ILSVRC2012_test_1.JPEG",
                           "ILSVRC/Annotations/CLS-LOC/x.xml", "ILSVRC/ImageSets/CLS-LOC/x.txt"});
  folder_.write("LOC_val_solution.csv",
                "ImageId,PredictionString\r\n"
                "ILSVRC2012_val_00000002,n01440764 1 2 3 4 n01440764 5 6 7 8\r\n"
                "ILSVRC2012_val_00000001,n01443537 1 2 3 4\r\n");
  EXPECT_THAT(val_labels(), ElementsAre(1, 0));
  EXPECT_THAT(dataset_splits({.path = folder_.path()}), ElementsAre("train", "val", "test"));
}

TEST_F(ImageNet, WithLabelsByNameNumberOrLine) {
  write("");
  for (const auto& [file, content] : std::vector<std::pair<const char*, const char*>>{
           {"val.txt", "ILSVRC2012_val_00000001.JPEG 1\nILSVRC2012_val_00000002.JPEG 0\n"},
           {"val_labels.txt",
            "ILSVRC2012_val_00000001.JPEG n01443537\nILSVRC2012_val_00000002.JPEG n01440764\n"},
           {"imagenet_2012_validation_synset_labels.txt", "n01443537\nn01440764\n"}}) {
    folder_.write(file, content);
    EXPECT_THAT(val_labels(), ElementsAre(1, 0)) << file;
    std::filesystem::remove(folder_ / file);
  }
  folder_.write("val.txt", "ILSVRC2012_val_00000001.JPEG 1\n");
  EXPECT_THAT(error_of([&] { val_labels(); }),
              AllOf(HasSubstr("val.txt"), HasSubstr("no line for ILSVRC2012_val_00000002")));
  folder_.write("val.txt", "ILSVRC2012_val_00000001.JPEG 2\n");
  EXPECT_THAT(error_of([&] { val_labels(); }), HasSubstr("val.txt: line 1"));
}

TEST_F(ImageNet, WithTheDevkitsGroundTruth) {
  write("");
  const std::string devkit = "ILSVRC2012_devkit_t12/data/";
  folder_.write(devkit + "ILSVRC2012_validation_ground_truth.txt", "7\n3\n");
  const W writer;
  const auto number = [&](double value) {
    return writer.numbers<double>("", W::kDoubles, W::kDouble, {value});
  };
  // IDs are in another order than the classes, and a group of classes is among them.
  folder_.write(
      devkit + "meta.mat",
      writer.file({writer.structs("synsets", 3, {"ILSVRC2012_ID", "WNID", "num_children"},
                                  {number(3), writer.text("", "n01440764"), number(0), number(900),
                                   writer.text("", "n00001740"), number(2), number(7),
                                   writer.text("", "n01443537"), number(0)})}));
  EXPECT_THAT(val_labels(), ElementsAre(1, 0));
  folder_.write(devkit + "ILSVRC2012_validation_ground_truth.txt", "7\n900\n");
  EXPECT_THAT(error_of([&] { val_labels(); }), AllOf(HasSubstr("line 2"), HasSubstr("ID 900")));
}

TEST_F(ImageNet, WithoutLabelsOfVal) {
  write("");
  const DataSource source{.path = folder_.path()};
  EXPECT_FALSE(open_validation(source, *open_labeled_train(source))->has_labels());
}

// --- drawn

TEST(Layouts, ASyntheticSetMayHaveNoValidationSplit) {
  DataSource source{.format = "synthetic"};
  source.synthetic_val = 0;
  EXPECT_THAT(dataset_splits(source), ElementsAre("train"));
  EXPECT_EQ(open_validation(source, *open_labeled_train(source)), nullptr);
}

}  // namespace
}  // namespace invp::testing
