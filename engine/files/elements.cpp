#include "engine/files/elements.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>
#include <limits>

namespace invp {
namespace {

static_assert(std::endian::native == std::endian::little,
              "files hold little-endian elements and are read without conversion");

struct TypeInfo {
  StoredType type;
  const char* name;
  std::size_t size;
  DType becomes;
};

constexpr TypeInfo kTypes[] = {
    {StoredType::kF64, "F64", 8, DType::kF32}, {StoredType::kF32, "F32", 4, DType::kF32},
    {StoredType::kF16, "F16", 2, DType::kF32}, {StoredType::kBF16, "BF16", 2, DType::kBF16},
    {StoredType::kI64, "I64", 8, DType::kI64}, {StoredType::kI32, "I32", 4, DType::kI32},
    {StoredType::kI16, "I16", 2, DType::kI32}, {StoredType::kI8, "I8", 1, DType::kI32},
    {StoredType::kU8, "U8", 1, DType::kU8},    {StoredType::kBool, "BOOL", 1, DType::kU8},
};

const TypeInfo& info(StoredType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

float half_to_float(std::uint16_t half) {
  const std::uint32_t sign = static_cast<std::uint32_t>(half & 0x8000u) << 16;
  const std::uint32_t exponent = (half >> 10) & 0x1Fu;
  const std::uint32_t fraction = half & 0x3FFu;
  if (exponent == 0) {  // zero and subnormals: fraction x 2^-24
    const float magnitude = static_cast<float>(fraction) * 0x1p-24f;
    return sign != 0 ? -magnitude : magnitude;
  }
  const std::uint32_t widened = exponent == 0x1F ? 0xFFu : exponent + 112;
  return std::bit_cast<float>(sign | (widened << 23) | (fraction << 13));
}

template <class Stored, class Target, class Convert>
void convert_each(std::span<const std::byte> from, std::span<Target> to, const Convert& convert) {
  for (std::size_t i = 0; i < to.size(); ++i) {
    Stored value;
    std::memcpy(&value, from.data() + i * sizeof(Stored), sizeof(Stored));
    to[i] = convert(value);
  }
}

}  // namespace

std::size_t size_of(StoredType type) {
  return info(type).size;
}
DType tensor_type(StoredType type) {
  return info(type).becomes;
}
const char* safetensors_name(StoredType type) {
  return info(type).name;
}

const char* safetensors_name(DType type) {
  switch (type) {
    case DType::kF32: return "F32";
    case DType::kBF16: return "BF16";
    case DType::kF64: return "F64";
    case DType::kI32: return "I32";
    case DType::kI64: return "I64";
    case DType::kU8: return "U8";
  }
  return "?";
}

std::optional<StoredType> stored_type_from_safetensors(std::string_view name) {
  const auto* found =
      std::ranges::find_if(kTypes, [&](const TypeInfo& type) { return name == type.name; });
  if (found == std::end(kTypes)) return std::nullopt;
  return found->type;
}

std::optional<std::uint64_t> checked_bytes(std::span<const std::int64_t> extents,
                                           std::size_t element_size) {
  // Zero extents are left out of the running product: (2^62, 2^62, 0) must not pass as empty.
  std::uint64_t product = element_size;
  bool empty = false;
  for (const std::int64_t extent : extents) {
    if (extent < 0) return std::nullopt;
    empty |= extent == 0;
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
    if (product > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
    product *= factor;
  }
  return empty ? 0 : product;
}

void swap_bytes(std::span<std::byte> bytes, std::size_t element_size) {
  for (std::size_t i = 0; i + element_size <= bytes.size(); i += element_size) {
    std::ranges::reverse(bytes.subspan(i, element_size));
  }
}

void convert_elements(StoredType type, std::span<const std::byte> from, const Tensor& to) {
  CHECK(to.dtype() == tensor_type(type) &&
            from.size() == static_cast<std::size_t>(to.numel()) * size_of(type),
        "[elements] ", from.size(), " bytes of ", safetensors_name(type), " do not fill ",
        to.shape(), " of ", to.dtype());
  switch (type) {
    case StoredType::kF64:
      convert_each<double>(from, to.span<float>(), [](double v) { return static_cast<float>(v); });
      break;
    case StoredType::kF16:
      convert_each<std::uint16_t>(from, to.span<float>(), half_to_float);
      break;
    case StoredType::kI16:
      convert_each<std::int16_t>(from, to.span<std::int32_t>(), [](std::int32_t v) { return v; });
      break;
    case StoredType::kI8:
      convert_each<std::int8_t>(from, to.span<std::int32_t>(), [](std::int32_t v) { return v; });
      break;
    case StoredType::kBool:
      convert_each<std::uint8_t>(from, to.span<std::uint8_t>(),
                                 [](std::uint8_t v) { return static_cast<std::uint8_t>(v != 0); });
      break;
    case StoredType::kF32:
    case StoredType::kBF16:
    case StoredType::kI64:
    case StoredType::kI32:
    case StoredType::kU8:
      if (!from.empty()) std::memcpy(to.raw(), from.data(), from.size());
      break;
  }
}

}  // namespace invp
