#include "data/sets/svhn.h"

#include <span>
#include <utility>

#include "data/sets/mat_file.h"
#include "engine/core/error.h"

namespace invp {
namespace {

constexpr std::size_t kSide = 32;
constexpr std::size_t kPicture = kSide * kSide * 3;

}  // namespace

std::unique_ptr<Dataset> open_svhn(const std::filesystem::path& mat_file) {
  const std::string path = mat_file.string();
  CHECK(std::filesystem::is_regular_file(mat_file), path,
        ": no such file; SVHN has train_32x32.mat, "
        "test_32x32.mat and extra_32x32.mat");
  const MatFile file(mat_file);
  const MatValue x = file.variable("X");
  const std::vector<std::int64_t>& dims = x.dims();
  CHECK(dims.size() == 4 && std::cmp_equal(dims[0], kSide) && std::cmp_equal(dims[1], kSide) &&
            dims[2] == 3 && dims[3] > 0,
        path, ": X is not 32 x 32 x 3 x N; is it the cropped-digits version (format 2)?");
  const std::int64_t count = dims[3];
  const MatValue y = file.variable("y");
  CHECK(y.count() == count, path, ": y does not have one label for each of the ", count, " images");

  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i)
    labels.push_back(static_cast<std::int32_t>(y.integer(i, 0, 10) % 10));  // 10 stands for 0
  // Column-major: byte (row, column, channel) of an image is at row + 32 column + 1024 channel.
  const std::span<const std::uint8_t> from = x.bytes();
  std::vector<std::uint8_t> pixels(from.size());
  for (std::size_t image = 0; image < pixels.size(); image += kPicture) {
    std::uint8_t* to = &pixels[image];
    for (std::size_t row = 0; row < kSide; ++row) {
      for (std::size_t column = 0; column < kSide; ++column) {
        for (std::size_t c = 0; c < 3; ++c) {
          *to++ = from[image + row + kSide * column + kSide * kSide * c];
        }
      }
    }
  }
  std::vector<PixelDataset::Source> sources = {{path, count}};
  return std::make_unique<PixelDataset>("svhn", kSide, kSide, std::move(pixels), std::move(sources),
                                        std::move(labels), numbered_classes(10));
}

}  // namespace invp
