// The safetensors format: 8 bytes of header length, a JSON header, the elements.
// https://github.com/huggingface/safetensors#format
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "engine/files/tensor_source.h"

namespace invp {

/// One tensor as the header announces it.
struct TensorEntry : StoredTensor {
  std::uint64_t begin = 0;  ///< bytes from the start of the file
  std::uint64_t end = 0;
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;  ///< in the order of the header
  std::map<std::string, std::string> metadata;
};

/// The header alone, checked as the reference implementation does: at most 100 MB of JSON, metadata
/// of strings only, each tensor as long as its shape and type say, and the tensors covering the
/// rest of the file without hole or overlap. Stricter than it in one thing: the format forbids one
/// name twice, so that is refused. Errors name the file, the byte and the tensor.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);

/// Names and layouts stay as they are.
std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path& path);
/// Everything, on the host. Types that a tensor cannot hold are converted (elements.h).
TensorFile read_safetensors(const std::filesystem::path& path);

/// Replaces `path` in one step (atomic_file.h). Names must be unique, and types those that
/// safetensors knows.
void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const FillElements& fill);
/// Tensors may live on any device.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata = {});
inline void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_safetensors(path, file.tensors, file.metadata);
}

}  // namespace invp
