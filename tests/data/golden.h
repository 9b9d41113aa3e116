// Where the committed files of tests/golden lie, and a picture to try things on.
#pragma once

#include <cmath>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "data/images/image.h"
#include "engine/core/random.h"

namespace invp::test {

inline std::filesystem::path golden(const std::string& name) {
  return std::filesystem::path(INVP_SOURCE_DIR) / "tests/golden/data" / name;
}

/// The tab-separated fields of each line.
inline std::vector<std::vector<std::string>> read_table(const std::filesystem::path& path) {
  std::vector<std::vector<std::string>> rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream fields(line);
    rows.emplace_back();
    for (std::string field; std::getline(fields, field, '\t');) rows.back().push_back(field);
  }
  return rows;
}

/// Waves, an edge and noise, so that neighboring pixels differ in all channels.
inline Image photo_like(int width, int height, std::uint64_t seed) {
  Random random(seed, Purpose::kBenchmark);
  Image image(width, height);
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        double v = 128 + 90 * std::sin(x / (5.0 + c) + y / (11.0 - c)) + 10 * random.normal();
        if (x > width / 2 && y > height / 3) v = 255 - v;
        image.at(x, y)[c] = static_cast<std::uint8_t>(std::min(255.0, std::max(0.0, v)));
      }
    }
  }
  return image;
}

/// Independent bytes: every color and every step between neighbors.
inline Image noise(int width, int height, std::uint64_t seed) {
  Random random(seed, Purpose::kBenchmark);
  Image image(width, height);
  for (std::uint8_t& v : image.pixels) v = static_cast<std::uint8_t>(random.bits() >> 24);
  return image;
}

}  // namespace invp::test
