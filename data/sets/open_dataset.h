// Finds out which data set is at a path and opens a split of it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/sets/dataset.h"
#include "data/synthetic/synthetic.h"

namespace invp {

struct DataSource {
  std::filesystem::path path;  ///< empty for the synthetic set
  std::string format = "auto";
  SyntheticOptions synthetic;
  std::int64_t synthetic_train = 10'000;
  std::int64_t synthetic_val = 1'000;
  bool resolved = false;  ///< by resolve_source; then nothing is looked for again
};

/// The names that `format` may have, "auto" first.
const std::vector<std::string>& dataset_formats();

/// The source with its format and the folder that holds the set, which is `path`, or lies in it, or
/// below it where each folder has pictures in one other only ("stanford_cars/", "archive/set/").
/// Throws Error, with advice, for a missing path, a folder or file that holds no known set or
/// several, an archive, and an unknown format.
DataSource resolve_source(const DataSource& source);

/// The format of resolve_source.
std::string resolve_format(const DataSource& source);

/// The splits that are there, of "train", "val", "test", "extra". Names of splits are found in any
/// capitalization: train or training, val, validation or valid, test or testing.
std::vector<std::string> dataset_splits(const DataSource& source);

/// Opens a split. If a set has only one of val and test, either name opens it.
///   imagefolder  PATH/train, PATH/val and PATH/test, each with folders of classes, or with
///   pictures
///                that then have no labels; a folder without splits is train. Labels of ImageNet's
///                val may be in a list of their own (imagenet_val.h)
///   cifar10, cifar100, svhn      train and test
///   list         PATH/train.txt and val.txt or test.txt (or .csv); or the path of one list: the
///                others are found by replacing "train" in its name
///   pack         PATH/train.pack and PATH/val.pack or test.pack; or the path of one pack: the
///                others are found by replacing the split in its name
///   places205    train and val, by train_places205.csv and val_places205.csv
///   voc          trainval as train and test as val; if one is missing, train and val
///   coco         train, val and test, by annotations/instances_SPLIT*.json; without labels
///   flowers102, cars, pets, cub200, caltech101   train and test (fine_grained.h); if asked for by
///                name, they may also have the form of imagefolder
///   synthetic    train and val, drawn
/// Labels are numbered as this split has its classes; open_split and open_validation (splits.h)
/// number them as those of the training split. Throws Error saying what was expected where.
std::unique_ptr<Dataset> open_dataset(const DataSource& source, std::string_view split);

}  // namespace invp
