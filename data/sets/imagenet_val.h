// The validation images of ImageNet (ILSVRC2012) as the archive has them: in one folder, their
// labels in a file of their own.
#pragma once

#include <filesystem>
#include <memory>

#include "data/sets/dataset.h"

namespace invp {

/// The images in `folder`, if there are no folders in it and one of these files lies in `set`, in a
/// folder above it up to the third, or in its ILSVRC2012_devkit_t12/data/:
///   LOC_val_solution.csv   "ImageId,PredictionString" as Kaggle has it: a file's name without its
///                          ending; the first word of the second field is the class
///   val.txt, ILSVRC2012_val.txt, val_labels.txt    "FILE CLASS", the class as name or as number
///   imagenet_2012_validation_synset_labels.txt     line k is the class of the k-th image
///   ILSVRC2012_validation_ground_truth.txt         line k is the ID of the class of the k-th
///                          image; meta.mat beside it says which class that is
/// Classes are the sorted names of the training split's folders in `set`. Null if it is another
/// folder. Throws Error naming file and line for an image without a label and for a class that the
/// training split does not have.
std::unique_ptr<Dataset> open_imagenet_val(const std::filesystem::path& folder,
                                           const std::filesystem::path& set);

}  // namespace invp
