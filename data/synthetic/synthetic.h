// The synthetic set: images that the program draws, to try everything without files. A class is a
// shape with a texture. Colors, sizes, places, turns, lighting, clutter and grain vary so widely
// that a comparison of pixels hardly finds the classes.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>

#include "data/images/image.h"

namespace invp {

struct SyntheticOptions {
  int classes = 10;        ///< 2 to 100
  int size = 32;           ///< pixels per side, 8 to 1024
  std::uint64_t seed = 0;  ///< of everything drawn
};

enum class SyntheticSplit : std::uint32_t { kTrain = 0, kVal = 1 };

/// Throws Error for an option out of range.
void check(const SyntheticOptions& options);

/// index modulo classes, so that any run of consecutive indices is balanced.
int synthetic_label(const SyntheticOptions& options, std::int64_t index);
/// "03-spoked-star": the number comes first, so that folders sort in the order of the classes.
std::string synthetic_class_name(int label);

/// A pure function of the options, the split and the index. Threads may draw in any order.
Image draw_synthetic(const SyntheticOptions& options, SyntheticSplit split, std::int64_t index);

struct SynthesizeOptions {
  SyntheticOptions set;
  std::int64_t train = 10'000;
  std::int64_t val = 1'000;
  int jpeg_quality = 95;  ///< 1 to 100; color is not subsampled
};

/// Writes the set as DIR/train/CLASS/000001.jpg and DIR/val/CLASS/000001.jpg, and calls
/// progress(done, total) after each 256 images. Throws Error if DIR is not empty, an option is out
/// of range or a file cannot be written.
void synthesize(const std::filesystem::path& dir, const SynthesizeOptions& options,
                const std::function<void(std::int64_t, std::int64_t)>& progress = {});

}  // namespace invp
