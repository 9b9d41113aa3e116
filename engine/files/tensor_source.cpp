#include "engine/files/tensor_source.h"

#include <cstring>

namespace invp {

std::string shape_text(std::span<const std::int64_t> extents) {
  std::string text;
  for (const std::int64_t extent : extents)
    text += (text.empty() ? "" : ", ") + std::to_string(extent);
  return '(' + text + ')';
}

std::string_view TensorSource::unwrapped(std::size_t index) const {
  std::string_view name = tensors_[index].name;
  if (name.starts_with(wrapper_)) name.remove_prefix(wrapper_.size());
  return name;
}

std::vector<std::byte> TensorSource::bytes(std::size_t index) const {
  std::vector<std::byte> bytes(static_cast<std::size_t>(tensors_[index].bytes));
  read(index, bytes);
  return bytes;
}

Tensor TensorSource::tensor(std::size_t index) const {
  const StoredTensor& stored = tensors_[index];
  CHECK(tensor_type(stored.type), path_, ": tensor \"", stored.name, "\" is of type ",
        name_of(stored.type), ", which is not computed with");
  return read_elements(stored.type, Shape(stored.extents),
                       [&](std::span<std::byte> to) { read(index, to); });
}

Tensor TensorSource::real_tensor(std::size_t index) const {
  const StoredTensor& stored = tensors_[index];
  if (stored.type == StoredType::kF32) return tensor(index);
  CHECK(is_real(stored.type), path_, ": tensor \"", stored.name, "\" is of type ",
        name_of(stored.type), "; weights are floats");
  Tensor result = Tensor::empty(Shape(stored.extents), DType::kF32);
  convert_to_f32(stored.type, bytes(index), result.span<float>());
  return result;
}

void TensorSource::check_total() const {
  const std::uint64_t most = most_tensor_bytes(contents_);
  std::uint64_t total = 0;
  for (const StoredTensor& stored : tensors_) {
    CHECK(stored.bytes <= most - total, path_, ": tensor \"", stored.name,
          "\": the contents outgrow the file many times over; refused");
    total += stored.bytes;
  }
}

TensorFile TensorSource::all() const {
  check_total();
  TensorFile file;
  file.metadata = metadata_;
  file.has_checksums = has_checksums_;
  for (std::size_t i = 0; i < tensors_.size(); ++i) {
    const StoredTensor& stored = tensors_[i];
    if (!tensor_type(stored.type) || stored.extents.size() > Shape::kMaxRank) continue;
    file.tensors.emplace_back(unwrapped(i), tensor(i));
  }
  return file;
}

std::vector<StoredTensor> stored_tensors(std::span<const std::pair<std::string, Tensor>> tensors) {
  std::vector<StoredTensor> stored;
  for (const auto& [name, tensor] : tensors) {
    const auto dims = tensor.shape().dims();
    stored.push_back(
        {name, stored_type(tensor.dtype()), {dims.begin(), dims.end()}, tensor.nbytes()});
  }
  return stored;
}

FillElements elements_of(std::span<const std::pair<std::string, Tensor>> tensors) {
  return [tensors](std::size_t index, std::span<std::byte> to) {
    const Tensor host = tensors[index].second.to(kCpu);
    if (!to.empty()) std::memcpy(to.data(), host.raw(), to.size());
  };
}

}  // namespace invp
