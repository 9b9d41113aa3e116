#include "data/svhn.h"

#include <matio.h>

#include <cmath>
#include <functional>
#include <span>
#include <utility>

#include "engine/core/error.h"

namespace invp {
namespace {

constexpr std::size_t kSide = 32;
constexpr std::size_t kPicture = kSide * kSide * 3;

using MatFile = std::unique_ptr<mat_t, int (*)(mat_t*)>;
using Variable = std::unique_ptr<matvar_t, void (*)(matvar_t*)>;

Variable read(const MatFile& file, const char* name, const std::string& path) {
  Variable variable(Mat_VarRead(file.get(), name), Mat_VarFree);
  CHECK(variable && variable->data != nullptr && variable->isComplex == 0, path,
        ": has no readable variable ", name,
        "; it was cut short or is not of SVHN: download it again");
  return variable;
}

template <class T>
double element(const matvar_t& variable, std::size_t i) {
  return static_cast<double>(static_cast<const T*>(variable.data)[i]);
}

/// MATLAB stores labels in whatever number class its author used.
double number_at(const matvar_t& variable, std::size_t i, const std::string& path) {
  switch (variable.class_type) {
    case MAT_C_DOUBLE: return element<double>(variable, i);
    case MAT_C_SINGLE: return element<float>(variable, i);
    case MAT_C_UINT8: return element<std::uint8_t>(variable, i);
    case MAT_C_INT8: return element<std::int8_t>(variable, i);
    case MAT_C_UINT16: return element<std::uint16_t>(variable, i);
    case MAT_C_INT16: return element<std::int16_t>(variable, i);
    case MAT_C_UINT32: return element<std::uint32_t>(variable, i);
    case MAT_C_INT32: return element<std::int32_t>(variable, i);
    default: fail(path, ": the labels y are no numbers");
  }
}

}  // namespace

std::unique_ptr<Dataset> open_svhn(const std::filesystem::path& mat_file) {
  const std::string path = mat_file.string();
  CHECK(std::filesystem::is_regular_file(mat_file), path,
        ": no such file; SVHN has train_32x32.mat, "
        "test_32x32.mat and extra_32x32.mat");
  Mat_LogInitFunc("invp", [](int, char*) {});  // what goes wrong is told by the errors below
  const MatFile file(Mat_Open(path.c_str(), MAT_ACC_RDONLY), Mat_Close);
  CHECK(file != nullptr, path, ": not a MATLAB file, or damaged; download it again");

  const Variable x = read(file, "X", path);
  CHECK(x->class_type == MAT_C_UINT8 && x->rank == 4 && x->dims[0] == kSide &&
            x->dims[1] == kSide && x->dims[2] == 3 && x->dims[3] > 0,
        path, ": X is not 32 x 32 x 3 x N bytes; is it the cropped-digits version (format 2)?");
  const std::size_t count = x->dims[3];
  const Variable y = read(file, "y", path);
  CHECK(y->rank == 2 && y->dims[0] * y->dims[1] == count, path,
        ": y has not one label for each of the ", count, " pictures");

  std::vector<std::int32_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) {
    const double label = number_at(*y, i, path);
    CHECK(label >= 0 && label <= 10 && label == std::floor(label), path, ": y(", i + 1, ") is ",
          label, ", not a digit");
    labels[i] = static_cast<std::int32_t>(label) % 10;
  }
  // Column-major: byte (row, column, channel) of a picture stands at row + 32 column + 1024
  // channel.
  std::vector<std::uint8_t> pixels(count * kPicture);
  const std::span from(static_cast<const std::uint8_t*>(x->data), pixels.size());
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
  std::vector<PixelDataset::Source> sources = {{path, static_cast<std::int64_t>(count)}};
  return std::make_unique<PixelDataset>("svhn", kSide, kSide, std::move(pixels), std::move(sources),
                                        std::move(labels), numbered_classes(10));
}

}  // namespace invp
