// The safetensors format: 8 bytes of header length, a JSON header, the elements.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/elements.h"
#include "engine/files/tensor_file.h"

namespace invp {

/// One tensor as the header announces it.
struct TensorEntry {
  std::string name;
  StoredType type = StoredType::kF32;
  Shape shape;
  std::uint64_t begin = 0;  ///< bytes from the start of the file
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  ///< in the order of the header
  std::map<std::string, std::string> metadata;
};

/// The header alone, checked against every rule of the format: at most 100 MB of JSON that begins
/// with '{', no name twice, metadata of strings only, each tensor as long as its shape and type
/// say, and the tensors covering the rest of the file without hole or overlap. Errors name the
/// file, the byte and the tensor.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

/// Everything, on the host. Types that a tensor cannot hold are converted (elements.h); names and
/// layouts stay as they are.
TensorFile read_safetensors(const std::filesystem::path& path);

/// Replaces `path` in one step (atomic_file.h). Tensors may live on any device; names must be
/// unique.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata = {});
inline void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_safetensors(path, file.tensors, file.metadata);
}

}  // namespace invp
