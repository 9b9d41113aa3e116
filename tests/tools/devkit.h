// A VOC devkit of drawn pictures, for commands of detection.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>

#include "data/images/encode.h"
#include "data/images/image.h"
#include "engine/core/error.h"
#include "engine/core/random.h"

namespace invp::testing {

/// FOLDER/VOC2007 with `train` pictures in trainval and `test` in test: a bright rectangle, an
/// aeroplane, or a dark one, a bicycle, on noise, 64 pixels wide and 48 high.
inline void write_devkit(const std::filesystem::path& folder, int train, int test) {
  const std::filesystem::path root = folder / "VOC2007";
  for (const char* const part : {"JPEGImages", "Annotations", "ImageSets/Main"})
    std::filesystem::create_directories(root / part);
  std::ofstream lists[2] = {std::ofstream(root / "ImageSets/Main/trainval.txt"),
                            std::ofstream(root / "ImageSets/Main/test.txt")};
  for (int i = 0; i < train + test; ++i) {
    constexpr int kWidth = 64, kHeight = 48;
    Random random(7, Purpose::kSynthetic, 0, static_cast<std::uint64_t>(i));
    Image image(kWidth, kHeight);
    for (std::uint8_t& value : image.pixels)
      value = static_cast<std::uint8_t>(random.integer(96, 160));
    const bool plane = random.integer(0, 1) == 1;
    const auto x = static_cast<int>(random.integer(0, 30)),
               y = static_cast<int>(random.integer(0, 20));
    const auto w = static_cast<int>(random.integer(14, 30)),
               h = static_cast<int>(random.integer(12, 24));
    for (int row = y; row < y + h; ++row) {
      for (int column = x; column < x + w; ++column) {
        for (int c = 0; c < 3; ++c) {
          image.pixels[static_cast<std::size_t>((row * kWidth + column) * 3 + c)] = plane ? 250 : 5;
        }
      }
    }
    const std::string id = "00000" + std::to_string(i);
    const std::vector<std::uint8_t> jpeg = encode_jpeg(image, {.quality = 95});
    std::ofstream(root / "JPEGImages" / (id + ".jpg"), std::ios::binary)
        .write(reinterpret_cast<const char*>(jpeg.data()), std::ssize(jpeg));
    std::ofstream(root / "Annotations" / (id + ".xml")) << message(
        "<annotation><filename>", id, ".jpg</filename><size><width>", kWidth, "</width><height>",
        kHeight, "</height><depth>3</depth></size><object><name>", plane ? "aeroplane" : "bicycle",
        "</name><difficult>0</difficult><bndbox><xmin>", x + 1, "</xmin><ymin>", y + 1,
        "</ymin><xmax>", x + w, "</xmax><ymax>", y + h, "</ymax></bndbox></object></annotation>\n");
    lists[i < train ? 0 : 1] << id << '\n';
  }
}

/// For `invp detect train` of a devkit: four steps of two pictures that take no time.
inline constexpr const char* kTinyDetector =
    " --from-scratch --width 2 --batch-size 2 --iterations 4 --min-sizes 48 --max-size 64 "
    "--test-size 48 --regions 8 --proposals 20 --rpn-samples 16 --warmup 1 --drops 3 "
    "--report-every 2 --precise-bn 1 --save-steps 1 --threads 1 --workers 1 --seed 3 "
    "--schedule-pictures 2 ";

}  // namespace invp::testing
