// Finding out what stands at a path, and opening a split of it.
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
  std::filesystem::path path;  ///< none for the synthetic set
  std::string format = "auto";
  SyntheticOptions synthetic;
  std::int64_t synthetic_train = 10'000;
  std::int64_t synthetic_val = 1'000;
};

/// Every name that `format` may have, "auto" first.
const std::vector<std::string>& dataset_formats();

/// What `auto` finds at the path; `format` itself when it is not "auto". Throws for a path that is
/// missing or holds nothing known, and for an unknown format, with the way out.
std::string resolve_format(const DataSource& source);

/// The splits that are there: of "train", "val", "test", "extra".
std::vector<std::string> dataset_splits(const DataSource& source);

/// Opens a split. A set that has only one of val and test gives it for either.
///   imagefolder  PATH/train and PATH/val (or validation, test); of a folder of classes, train
///   cifar10, cifar100, svhn      train and test
///   list         PATH/train.txt and val.txt or test.txt (or .csv); or one list, in whose name
///                "train" is replaced to find the others
///   pack         PATH/train.pack and PATH/val.pack or test.pack; or one of such files, in whose
///                name the split is replaced to find the others
///   places205    train and val, by train_places205.csv and val_places205.csv
///   voc          train is trainval, judged by test; without both of them, train, judged by val
///   flowers102, cars, pets, cub200, caltech101   train and test, as fine_grained.h says; asked for
///                by name they may also be folders as of imagefolder
///   synthetic    train and val, drawn
/// Throws an Error that says what was expected where.
std::unique_ptr<Dataset> open_dataset(const DataSource& source, std::string_view split);

}  // namespace invp
