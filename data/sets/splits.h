// The splits of a set for a command: classes are matched by their names, so that a label means the
// same in each split.
#pragma once

#include <memory>
#include <string_view>

#include "data/sets/open_dataset.h"

namespace invp {

/// The set with its labels numbered as `train` numbers the classes of these names, and with its
/// classes; the set itself if that changes nothing. It may lack classes of `train` and have them in
/// another order. Classes without an image do not count. Unchanged if either has no labels.
///
/// Throws Error showing the names if it has images of classes that `train` lacks; for multi-label
/// sets, if the classes differ at all.
std::unique_ptr<Dataset> numbered_as(const Dataset& train, std::unique_ptr<Dataset> set);

/// A split, its labels numbered as those of the training split if there is one.
std::unique_ptr<Dataset> open_split(const DataSource& source, std::string_view split);

/// The validation split, else the test split, numbered as `train`; null if there is neither.
std::unique_ptr<Dataset> open_validation(const DataSource& source, const Dataset& train);

/// For what needs labels: throws Error saying why there are none and how to give them.
std::unique_ptr<Dataset> open_labeled_train(const DataSource& source);
/// The same, and Error if there is no split but that for training.
std::unique_ptr<Dataset> open_labeled_validation(const DataSource& source, const Dataset& train);

}  // namespace invp
