// Element types as files hold them, and their way into the types a tensor can hold.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/core/dtype.h"
#include "engine/core/tensor.h"

namespace invp {

enum class StoredType : std::uint8_t { kF64, kF32, kF16, kBF16, kI64, kI32, kI16, kI8, kU8, kBool };

std::size_t size_of(StoredType type);
/// What it becomes: f64 and f16 turn into f32, i16 and i8 into i32, bool into u8; the rest stays.
DType tensor_type(StoredType type);
/// The name in a safetensors header: "F32", "BOOL", ...
const char* safetensors_name(StoredType type);
const char* safetensors_name(DType type);
std::optional<StoredType> stored_type_from_safetensors(std::string_view name);

/// The product of the extents times `element_size`, or nothing if one is negative or it does not
/// fit in 63 bits.
std::optional<std::uint64_t> checked_bytes(std::span<const std::int64_t> extents,
                                           std::size_t element_size);

/// A host tensor of `shape`; fill(bytes) writes the stored little-endian elements, straight into
/// the tensor where the type needs no conversion. Set `swap` for big-endian files.
template <class Fill>
Tensor read_elements(StoredType type, const Shape& shape, bool swap, const Fill& fill);

/// Big-endian elements to this machine's order, in place.
void swap_bytes(std::span<std::byte> bytes, std::size_t element_size);
/// Converts elements in this machine's order into `to`, whose dtype is tensor_type(type).
void convert_elements(StoredType type, std::span<const std::byte> from, const Tensor& to);

template <class Fill>
Tensor read_elements(StoredType type, const Shape& shape, bool swap, const Fill& fill) {
  Tensor tensor = Tensor::empty(shape, tensor_type(type));
  const std::size_t bytes = static_cast<std::size_t>(shape.numel()) * size_of(type);
  const bool direct = size_of(type) == size_of(tensor.dtype()) && type != StoredType::kBool;
  std::vector<std::byte> stored(direct ? 0 : bytes);
  const std::span<std::byte> target =
      direct ? std::span(static_cast<std::byte*>(tensor.raw()), bytes) : std::span(stored);
  fill(target);
  if (swap) swap_bytes(target, size_of(type));
  if (!direct) convert_elements(type, stored, tensor);
  return tensor;
}

}  // namespace invp
