#include "engine/files/elements.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>
#include <limits>

namespace invp {
namespace {

static_assert(std::endian::native == std::endian::little,
              "files hold little-endian elements and are read without conversion");

struct TypeInfo {
  StoredType type;
  const char* name;  ///< in safetensors
  std::size_t bits;
  std::optional<DType> becomes;
};

// In the order of the enumeration.
constexpr TypeInfo kTypes[] = {
    {StoredType::kF64, "F64", 64, DType::kF32},
    {StoredType::kF32, "F32", 32, DType::kF32},
    {StoredType::kF16, "F16", 16, DType::kF32},
    {StoredType::kBF16, "BF16", 16, DType::kBF16},
    {StoredType::kF8E4M3, "F8_E4M3", 8, DType::kF32},
    {StoredType::kF8E5M2, "F8_E5M2", 8, DType::kF32},
    {StoredType::kF8E4M3Fnuz, "F8_E4M3FNUZ", 8, DType::kF32},
    {StoredType::kF8E5M2Fnuz, "F8_E5M2FNUZ", 8, DType::kF32},
    {StoredType::kF8E8M0, "F8_E8M0", 8, DType::kF32},
    {StoredType::kF6E2M3, "F6_E2M3", 6, std::nullopt},
    {StoredType::kF6E3M2, "F6_E3M2", 6, std::nullopt},
    {StoredType::kF4, "F4", 4, std::nullopt},
    {StoredType::kC128, nullptr, 128, std::nullopt},
    {StoredType::kC64, "C64", 64, std::nullopt},
    {StoredType::kI64, "I64", 64, DType::kI64},
    {StoredType::kI32, "I32", 32, DType::kI32},
    {StoredType::kI16, "I16", 16, DType::kI32},
    {StoredType::kI8, "I8", 8, DType::kI32},
    {StoredType::kU64, "U64", 64, std::nullopt},
    {StoredType::kU32, "U32", 32, DType::kI64},
    {StoredType::kU16, "U16", 16, DType::kI32},
    {StoredType::kU8, "U8", 8, DType::kU8},
    {StoredType::kBool, "BOOL", 8, DType::kU8},
};

const TypeInfo& info(StoredType type) {
  return kTypes[static_cast<std::size_t>(type)];
}

/// How an 8-bit float spends its bits. The fnuz forms have no infinity and no minus zero: that
/// pattern is their NaN.
struct SmallFloat {
  int fraction_bits;
  int bias;
  bool fnuz;
};
constexpr SmallFloat kE4M3 = {3, 7, false};
constexpr SmallFloat kE4M3Fnuz = {3, 8, true};
constexpr SmallFloat kE5M2Fnuz = {2, 16, true};

float small_to_float(std::uint8_t bits, const SmallFloat& form) {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  if (form.fnuz ? bits == 0x80 : (bits & 0x7F) == 0x7F) return kNaN;
  const int fraction = bits & ((1 << form.fraction_bits) - 1);
  const int exponent = (bits & 0x7F) >> form.fraction_bits;
  const int whole = exponent == 0 ? fraction : fraction + (1 << form.fraction_bits);
  const int scale = std::max(exponent, 1) - form.bias - form.fraction_bits;
  const float magnitude = std::ldexp(static_cast<float>(whole), scale);
  return (bits & 0x80) != 0 ? -magnitude : magnitude;
}

/// A power of two, for scales.
float e8m0_to_float(std::uint8_t bits) {
  return bits == 0xFF ? std::numeric_limits<float>::quiet_NaN() : std::ldexp(1.0f, bits - 127);
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

std::size_t bits_of(StoredType type) {
  return info(type).bits;
}
std::optional<DType> tensor_type(StoredType type) {
  return info(type).becomes;
}
bool is_real(StoredType type) {
  return type <= StoredType::kF8E8M0;
}
const char* safetensors_name(StoredType type) {
  return info(type).name;
}

std::string name_of(StoredType type) {
  std::string name = info(type).name == nullptr ? "C128" : info(type).name;
  for (char& c : name) c = static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name;
}

StoredType stored_type(DType type) {
  switch (type) {
    case DType::kF32: return StoredType::kF32;
    case DType::kBF16: return StoredType::kBF16;
    case DType::kF64: return StoredType::kF64;
    case DType::kI32: return StoredType::kI32;
    case DType::kI64: return StoredType::kI64;
    case DType::kU8: return StoredType::kU8;
  }
  fail("[elements] a type that no file holds");
}

std::string safetensors_names() {
  std::string names;
  for (const TypeInfo& type : kTypes) {
    if (type.name != nullptr) names += (names.empty() ? "" : ", ") + std::string(type.name);
  }
  return names;
}

std::optional<StoredType> stored_type_from_safetensors(std::string_view name) {
  const auto* found = std::ranges::find_if(
      kTypes, [&](const TypeInfo& type) { return type.name != nullptr && name == type.name; });
  if (found == std::end(kTypes)) return std::nullopt;
  return found->type;
}

std::optional<std::uint64_t> checked_bytes(std::span<const std::int64_t> extents, StoredType type) {
  // Zero extents are left out of the running product: (2^62, 2^62, 0) must not pass as empty.
  std::uint64_t product = bits_of(type);
  bool empty = false;
  for (const std::int64_t extent : extents) {
    if (extent < 0) return std::nullopt;
    empty |= extent == 0;
    const auto factor = static_cast<std::uint64_t>(std::max<std::int64_t>(extent, 1));
    if (product > std::numeric_limits<std::int64_t>::max() / factor) return std::nullopt;
    product *= factor;
  }
  if (product % 8 != 0 && !empty) return std::nullopt;
  return empty ? 0 : product / 8;
}

void swap_bytes(std::span<std::byte> bytes, std::size_t element_size) {
  for (std::size_t i = 0; i + element_size <= bytes.size(); i += element_size) {
    std::ranges::reverse(bytes.subspan(i, element_size));
  }
}

void convert_to_f32(StoredType type, std::span<const std::byte> from, std::span<float> to) {
  CHECK(from.size() == to.size() * size_of(type), "[elements] ", from.size(), " bytes of ",
        name_of(type), " are not ", to.size(), " elements");
  const auto small = [&](const SmallFloat& form) {
    convert_each<std::uint8_t>(from, to, [&](std::uint8_t v) { return small_to_float(v, form); });
  };
  switch (type) {
    case StoredType::kF64:
      return convert_each<double>(from, to, [](double v) { return static_cast<float>(v); });
    case StoredType::kF32: return convert_each<float>(from, to, [](float v) { return v; });
    case StoredType::kF16: return convert_each<std::uint16_t>(from, to, half_to_float);
    case StoredType::kBF16:
      return convert_each<BFloat16>(from, to, [](BFloat16 v) { return static_cast<float>(v); });
    case StoredType::kF8E5M2:  // the upper half of an f16
      return convert_each<std::uint8_t>(from, to, [](std::uint8_t v) {
        return half_to_float(static_cast<std::uint16_t>(v << 8));
      });
    case StoredType::kF8E4M3: return small(kE4M3);
    case StoredType::kF8E4M3Fnuz: return small(kE4M3Fnuz);
    case StoredType::kF8E5M2Fnuz: return small(kE5M2Fnuz);
    case StoredType::kF8E8M0: return convert_each<std::uint8_t>(from, to, e8m0_to_float);
    default: fail("[elements] ", name_of(type), " is no float type that is computed with");
  }
}

void convert_elements(StoredType type, std::span<const std::byte> from, const Tensor& to) {
  CHECK(to.dtype() == tensor_type(type) &&
            from.size() == static_cast<std::size_t>(to.numel()) * size_of(type),
        "[elements] ", from.size(), " bytes of ", name_of(type), " do not fill ", to.shape(),
        " of ", to.dtype());
  const auto whole = [&]<class Stored, class Target>() {
    convert_each<Stored>(from, to.span<Target>(), [](Stored v) { return static_cast<Target>(v); });
  };
  switch (type) {
    case StoredType::kI16: return whole.template operator()<std::int16_t, std::int32_t>();
    case StoredType::kI8: return whole.template operator()<std::int8_t, std::int32_t>();
    case StoredType::kU16: return whole.template operator()<std::uint16_t, std::int32_t>();
    case StoredType::kU32: return whole.template operator()<std::uint32_t, std::int64_t>();
    case StoredType::kBool:
      return convert_each<std::uint8_t>(from, to.span<std::uint8_t>(), [](std::uint8_t v) {
        return static_cast<std::uint8_t>(v != 0);
      });
    default: break;
  }
  if (to.dtype() == DType::kF32 && type != StoredType::kF32) {
    convert_to_f32(type, from, to.span<float>());
  } else if (!from.empty()) {
    std::memcpy(to.raw(), from.data(), from.size());
  }
}

}  // namespace invp
