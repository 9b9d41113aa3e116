#include <charconv>

#include "data/images/planes.h"
#include "data/images/transform.h"
#include "engine/core/error.h"
#include "engine/ops/image/pixel_arithmetic.h"

namespace invp {

namespace {

/// In the fewest digits that read back as the same.
std::string list_of(const std::array<float, 3>& values) {
  std::string list;
  for (const float value : values) {
    std::array<char, 32> digits{};
    std::to_chars(digits.data(), digits.data() + digits.size(), value);
    list.append(list.empty() ? "" : ",").append(digits.data());
  }
  return list;
}

}  // namespace

std::string described(const Normalization& normalization) {
  if (normalization == kCifarNormalization) return "as cifar";
  if (normalization == kImagenetNormalization) return "as imagenet";
  return "by " + list_of(normalization.mean) + " and " + list_of(normalization.std);
}

NormalizationTable::NormalizationTable(const ByteNormalization& normalization) {
  for (std::size_t c = 0; c < 3; ++c) {
    for (int v = 0; v < 256; ++v) {
      values_[c][static_cast<std::size_t>(v)] =
          (static_cast<float>(v) - normalization.mean[c]) / normalization.std[c];
    }
  }
}

NormalizationTable::NormalizationTable(const Normalization& normalization) {
  for (std::size_t c = 0; c < 3; ++c) {
    CHECK(normalization.std[c] > 0, "[normalize] standard deviations are positive, got ",
          normalization.std[c]);
    for (int v = 0; v < 256; ++v) {
      values_[c][static_cast<std::size_t>(v)] =
          pixel::normalized(v, normalization.mean[c], normalization.std[c]);
    }
  }
}

void to_tensor(const Planes& planes, const NormalizationTable& table, bool flip, float* out,
               std::size_t row_floats) {
  const float *red = table.channel(0), *green = table.channel(1), *blue = table.channel(2);
  const int width = planes.width;
  for (int y = 0; y < planes.height; ++y, out += row_floats) {
    const std::size_t at = static_cast<std::size_t>(y) * static_cast<std::size_t>(width);
    const std::uint8_t* r = planes.plane(0) + at;
    const std::uint8_t* g = planes.plane(1) + at;
    const std::uint8_t* b = planes.plane(2) + at;
    float* target = flip ? out + 3 * (width - 1) : out;
    const std::ptrdiff_t step = flip ? -3 : 3;
    for (int x = 0; x < width; ++x, target += step) {
      target[0] = red[r[x]];
      target[1] = green[g[x]];
      target[2] = blue[b[x]];
    }
  }
}

void to_tensor(const Planes& planes, const NormalizationTable& table, bool flip, float* out) {
  to_tensor(planes, table, flip, out, 3 * static_cast<std::size_t>(planes.width));
}

void to_tensor(ImageView image, const NormalizationTable& table, bool flip, float* out) {
  Planes planes;
  to_planes(image, planes);
  to_tensor(planes, table, flip, out);
}

}  // namespace invp
