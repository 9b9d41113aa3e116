// A file of named tensors that are read one by one, when they are asked for.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/files/elements.h"
#include "engine/files/tensor_file.h"

namespace invp {

/// One tensor as the file announces it.
struct StoredTensor {
  std::string name;
  StoredType type = StoredType::kF32;
  std::vector<std::int64_t> extents;
  std::uint64_t bytes = 0;  ///< of its elements; fits the extents and the type
};

/// "(64, 3, 7, 7)"
std::string shape_text(std::span<const std::int64_t> extents);

class TensorSource {
 public:
  virtual ~TensorSource() = default;
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;

  const std::string& path() const { return path_; }
  /// In the order of the file; names are unique.
  const std::vector<StoredTensor>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  /// Tensors that cannot be read, each with the reason: "NAME: it is sparse".
  const std::vector<std::string>& left_out() const { return left_out_; }
  /// Is what is read compared with checksums of the file?
  bool has_checksums() const { return has_checksums_; }
  /// The bytes of elements that the file holds, unpacked: no network in it can have more.
  std::uint64_t contents() const { return contents_; }
  /// A tensor's name without "state_dict." or "model." if one of these dictionaries holds the
  /// network and everything else stands beside it.
  std::string_view unwrapped(std::size_t index) const;

  /// Writes the elements in row-major order; `to` has tensors()[index].bytes. Throws Error naming
  /// file and tensor where they are damaged.
  virtual void read(std::size_t index, std::span<std::byte> to) const = 0;
  std::vector<std::byte> bytes(std::size_t index) const;
  /// On the host, in the type that tensor_type gives; throws for those that are only carried.
  Tensor tensor(std::size_t index) const;
  /// On the host, any float type as f32; throws for other types.
  Tensor real_tensor(std::size_t index) const;
  /// Every tensor but those of types that are only carried, under its unwrapped name. Throws when
  /// they outgrow the file many times over.
  TensorFile all() const;
  /// Throws when the tensors together outgrow the file many times over, as they can by sharing
  /// their elements.
  void check_total() const;

 protected:
  explicit TensorSource(std::string path) : path_(std::move(path)) {}

  std::vector<StoredTensor> tensors_;
  std::map<std::string, std::string> metadata_;
  std::vector<std::string> left_out_;
  bool has_checksums_ = false;
  std::string wrapper_;
  std::uint64_t contents_ = 0;

 private:
  std::string path_;
};

/// Tensor i of those to be written: fills in its elements, in row-major order.
using FillElements = std::function<void(std::size_t index, std::span<std::byte> to)>;
/// How tensors of any device are written.
std::vector<StoredTensor> stored_tensors(std::span<const std::pair<std::string, Tensor>> tensors);
FillElements elements_of(std::span<const std::pair<std::string, Tensor>> tensors);

/// The most bytes that tensors made of so many stored ones may have together: some share or repeat
/// their elements.
inline std::uint64_t most_tensor_bytes(std::uint64_t stored) {
  return 4 * stored + (std::uint64_t{256} << 20);
}

}  // namespace invp
