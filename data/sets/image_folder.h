// ROOT/CLASS/.../FILE, the layout of ImageNet and of torchvision's ImageFolder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// Classes are the folders in `root`, sorted by code point; pictures come class by class, inside a
/// class folder by folder in the order of their paths, inside a folder by name. Pictures are the
/// files that end in .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff or .webp, in either case. Throws for
/// a missing or empty folder, and for a class without a picture. Folders in `leave_out` are no
/// classes.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& kind = "imagefolder",
                                           const std::vector<std::string>& leave_out = {});

/// Does the name end like a picture's?
bool has_image_extension(const std::filesystem::path& file);

}  // namespace invp
