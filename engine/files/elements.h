// Element types as files hold them, and their way into the types a tensor can hold.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/core/dtype.h"
#include "engine/core/tensor.h"

namespace invp {

enum class StoredType : std::uint8_t {
  kF64,
  kF32,
  kF16,
  kBF16,
  kF8E4M3,
  kF8E5M2,
  kF8E4M3Fnuz,
  kF8E5M2Fnuz,
  kF8E8M0,
  kF6E2M3,
  kF6E3M2,
  kF4,
  kC128,
  kC64,
  kI64,
  kI32,
  kI16,
  kI8,
  kU64,
  kU32,
  kU16,
  kU8,
  kBool,
};

/// Of one element. Those of 4 and 6 bits are packed.
std::size_t bits_of(StoredType type);
/// Of one element that takes whole bytes.
inline std::size_t size_of(StoredType type) {
  return bits_of(type) / 8;
}
/// What a tensor holds it as: f64, f16 and f8 turn into f32, i16, i8 and u16 into i32, u32 into
/// i64, bool into u8. Nothing for the types that are only carried from file to file.
std::optional<DType> tensor_type(StoredType type);
StoredType stored_type(DType type);
bool is_real(StoredType type);  ///< a float of any width
/// "f32", "bool", ...: the safetensors name in small letters.
std::string name_of(StoredType type);
/// The name in a safetensors header: "F32", "BOOL", ...; null for c128, which it does not know.
const char* safetensors_name(StoredType type);
std::optional<StoredType> stored_type_from_safetensors(std::string_view name);
/// All that safetensors knows: "F64, F32, ...".
std::string safetensors_names();

/// The bytes of so many elements, or nothing if an extent is negative, if it is not a whole number
/// of bytes, or if it does not fit in 63 bits.
std::optional<std::uint64_t> checked_bytes(std::span<const std::int64_t> extents, StoredType type);

/// A host tensor of `shape`; fill(bytes) writes the stored little-endian elements, straight into
/// the tensor where the type needs no conversion.
template <class Fill>
Tensor read_elements(StoredType type, const Shape& shape, const Fill& fill);

/// Big-endian elements to this machine's order, in place.
void swap_bytes(std::span<std::byte> bytes, std::size_t element_size);
/// Converts elements in this machine's order into `to`, whose dtype is tensor_type(type).
void convert_elements(StoredType type, std::span<const std::byte> from, const Tensor& to);
/// Any float type to f32.
void convert_to_f32(StoredType type, std::span<const std::byte> from, std::span<float> to);

template <class Fill>
Tensor read_elements(StoredType type, const Shape& shape, const Fill& fill) {
  const std::optional<DType> dtype = tensor_type(type);
  CHECK(dtype, "[elements] ", name_of(type), " is no type that is computed with");
  Tensor tensor = Tensor::empty(shape, *dtype);
  const std::size_t bytes = static_cast<std::size_t>(shape.numel()) * size_of(type);
  const bool direct = size_of(type) == size_of(tensor.dtype()) && type != StoredType::kBool;
  std::vector<std::byte> stored(direct ? 0 : bytes);
  const std::span<std::byte> target =
      direct ? std::span(static_cast<std::byte*>(tensor.raw()), bytes) : std::span(stored);
  fill(target);
  if (!direct) convert_elements(type, stored, tensor);
  return tensor;
}

}  // namespace invp
