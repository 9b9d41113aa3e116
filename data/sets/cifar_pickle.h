// The Python version of CIFAR: pickles of a dictionary with a numpy array. For cifar.cpp alone.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace invp {

inline constexpr int kCifarSide = 32;
inline constexpr std::size_t kCifarPixels = std::size_t{3} * kCifarSide * kCifarSide;

struct CifarRecords {
  std::vector<std::uint8_t> planes;  ///< per image 1024 red, 1024 green, 1024 blue bytes
  std::vector<std::int32_t> labels;
};

/// Throws Error for anything but a dictionary with "data" (uint8, n x 3072) and n labels under
/// `label_key`.
CifarRecords read_cifar_pickle(const std::filesystem::path& path, std::string_view label_key);

/// The class names of batches.meta or meta in the folder; empty if there is neither with so many.
std::vector<std::string> read_cifar_names(const std::filesystem::path& folder, std::size_t classes);

}  // namespace invp
