// ROOT/CLASS/.../FILE, the layout of ImageNet and of torchvision's ImageFolder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset.h"
#include "data/sets/folder_listing.h"

namespace invp {

/// Classes are the folders in `root` but those in `leave_out`, sorted by code point. Images are
/// sorted by class, then by the path of their folder, then by name. Images are the files that end
/// in .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff or .webp, in either case. Folders without an image
/// are no classes.
///
/// If images lie in `root` itself, no folder is a class: all images, those of the folders too, form
/// a set without labels.
///
/// What was left out (folder_listing.h) is told by Dataset::left_out. Throws Error for a missing
/// folder and for one without an image.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& kind = "imagefolder",
                                           const std::vector<std::string>& leave_out = {},
                                           LeftOut left_out = {});

/// All images of the folder and of the folders in it, without labels because of `why_no_labels`.
std::unique_ptr<Dataset> open_unlabeled_folder(const std::filesystem::path& root,
                                               const std::string& kind,
                                               const std::string& why_no_labels);

}  // namespace invp
