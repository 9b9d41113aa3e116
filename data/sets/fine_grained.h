// The small data sets of the fine-tuning experiments whose labels are listed apart from the images.
// Paths are the folders that the official archives unpack to. Each set may also be given as an
// ImageFolder (image_folder.h).
//
// All throw Error naming the file and the line, element or folder that is wrong: labels out of
// range, a split without images, a first image that is missing.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "data/sets/dataset.h"

namespace invp {

/// Which set is at the path; nothing if it is none of these. Looks at the names of files only.
///   "flowers102"  imagelabels.mat, setid.mat
///   "cars"        cars_annos.mat, cars_train_annos.mat in devkit/ or beside it, or cars_train/
///   "pets"        annotations/trainval.txt
///   "cub200"      train_test_split.txt and images.txt, here or in CUB_200_2011/
///   "caltech101"  101_ObjectCategories/, or that folder itself, by its name or its classes
///
/// Archives put some folders into a folder of the same name ("cars_train/cars_train"), which is
/// looked into.
std::optional<std::string> recognise_fine_grained(const std::filesystem::path& path);

/// Oxford Flowers-102 (Nilsback and Zisserman 2008): jpg/image_NNNNN.jpg; the 102 labels in
/// imagelabels.mat; of setid.mat, trnid and valid train, tstid tests.
std::unique_ptr<Dataset> open_flowers102(const std::filesystem::path& path, bool train);

/// Stanford Cars (Krause et al. 2013), 196 classes, whole images: the structures `annotations` of
/// devkit/cars_train_annos.mat and cars_test_annos_withlabels.mat with cars_train/ and cars_test/,
/// or those of cars_annos.mat with their paths, if its images are there. Classes are named by
/// cars_meta.mat, or by class_names beside the annotations, if there is one. A split whose
/// annotations are missing has no labels.
std::unique_ptr<Dataset> open_cars(const std::filesystem::path& path, bool train);
/// Are its images or its annotations there?
bool has_cars_split(const std::filesystem::path& path, bool train);

/// Oxford-IIIT Pets (Parkhi et al. 2012), 37 breeds: lines "IMAGE CLASS SPECIES BREED" in
/// annotations/trainval.txt and test.txt, images in images/.
/// Classes are named by the images of both lists.
std::unique_ptr<Dataset> open_pets(const std::filesystem::path& path, bool train);
bool has_pets_split(const std::filesystem::path& path, bool train);

/// Caltech-UCSD Birds 200-2011 (Wah et al. 2011): images.txt, image_class_labels.txt,
/// train_test_split.txt and classes.txt, joined by their IDs; images in images/.
std::unique_ptr<Dataset> open_cub200(const std::filesystem::path& path, bool train);

/// Caltech-101 (Fei-Fei et al. 2004) without BACKGROUND_Google. There is no official split: `seed`
/// draws 30 images of each class to train on, and all others test. A class with two or more images
/// keeps at least one to test.
std::unique_ptr<Dataset> open_caltech101(const std::filesystem::path& path, bool train,
                                         std::uint64_t seed = 0);

/// `folder`, or the folder of the same name in it.
std::filesystem::path innermost(const std::filesystem::path& folder);

}  // namespace invp
