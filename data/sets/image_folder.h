// ROOT/CLASS/.../FILE, the layout of ImageNet and of torchvision's ImageFolder.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "data/sets/dataset.h"

namespace invp {

/// Classes are the folders in `root` but those in `leave_out`, sorted by code point. Images are
/// sorted by class, then by the path of their folder, then by name. Images are the files that end
/// in .jpg .jpeg .png .ppm .bmp .pgm .tif .tiff or .webp, in either case. Throws Error for a
/// missing or empty folder and for a class without an image.
std::unique_ptr<Dataset> open_image_folder(const std::filesystem::path& root,
                                           const std::string& kind = "imagefolder",
                                           const std::vector<std::string>& leave_out = {});

/// Does the name end like that of an image?
bool has_image_extension(const std::filesystem::path& file);

}  // namespace invp
