// The safetensors format: 8 bytes of header length, a JSON header, the elements.
// https://github.com/huggingface/safetensors#format
//
// What is written here proves itself: its metadata hold CRC-32C checksums, of the header and of
// each tensor, which every other reader takes for a note. Reading compares them: the header's at
// once, a tensor's with its elements. Files of others have none.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
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
  std::optional<std::uint32_t> crc = {};  ///< CRC-32C of these bytes, of files that hold it
};

struct SafetensorsHeader {
  std::vector<TensorEntry> entries;             ///< in the order of the header
  std::map<std::string, std::string> metadata;  ///< without the checksums
  bool has_checksums = false;                   ///< and the header has its own
};

/// The header alone, checked as the reference implementation does: at most 100 MB of JSON, metadata
/// of strings only, each tensor as long as its shape and type say, and the tensors covering the
/// rest of the file without hole or overlap. Stricter than it in one thing: the format forbids one
/// name twice, so that is refused. A header that does not have its checksum is refused, too. Errors
/// name the file, the byte and the tensor.
SafetensorsHeader read_safetensors_header(const std::filesystem::path& path);
/// Reads every byte; throws as reading each tensor would. The header's, for what the file is.
SafetensorsHeader check_safetensors(const std::filesystem::path& path,
                                    const std::function<void(std::uint64_t bytes)>& progress);

/// Names and layouts stay as they are.
std::unique_ptr<TensorSource> open_safetensors(const std::filesystem::path& path);
/// Everything, on the host. Types that a tensor cannot hold are converted (elements.h).
TensorFile read_safetensors(const std::filesystem::path& path);

/// Replaces `path` in one step (atomic_file.h), with checksums. Names must be unique, and types
/// those that safetensors knows.
void write_safetensors(const std::filesystem::path& path, std::span<const StoredTensor> tensors,
                       const std::map<std::string, std::string>& metadata,
                       const FillElements& fill);
/// Gives append() the elements of tensor i piece after piece, in row-major order.
using AppendElements = std::function<void(std::span<const std::byte> piece)>;
using GiveElements = std::function<void(std::size_t index, const AppendElements& append)>;
/// The same with tensors that are larger than what is to be in memory at once. Throws Error, and
/// replaces nothing, if other elements are given than announced.
void write_safetensors_by_pieces(const std::filesystem::path& path,
                                 std::span<const StoredTensor> tensors,
                                 const std::map<std::string, std::string>& metadata,
                                 const GiveElements& give);
/// Tensors may live on any device.
void write_safetensors(const std::filesystem::path& path,
                       std::span<const std::pair<std::string, Tensor>> tensors,
                       const std::map<std::string, std::string>& metadata = {});
inline void write_safetensors(const std::filesystem::path& path, const TensorFile& file) {
  write_safetensors(path, file.tensors, file.metadata);
}

}  // namespace invp
