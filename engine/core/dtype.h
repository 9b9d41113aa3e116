// Element types a tensor can hold. bf16 is a storage type: arithmetic on it happens in f32. f64 is
// for sums that several ranks or passes add to.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <ostream>

#include "engine/core/error.h"
#include "engine/core/host_device.h"

#ifdef __CUDACC__
#include <cuda_bf16.h>
#endif

namespace invp {

enum class DType : std::uint8_t { kF32, kBF16, kF64, kI32, kI64, kU8 };

/// The upper half of an f32, rounded to nearest even. A trivial type: kernels may have arrays of it
/// in shared memory.
struct BFloat16 {
  std::uint16_t bits;
  BFloat16() = default;
  HOST_DEVICE explicit BFloat16(float value) {
#ifdef __CUDA_ARCH__
    bits = __bfloat16_as_ushort(__float2bfloat16_rn(value));
#else
    const auto word = std::bit_cast<std::uint32_t>(value);
    const bool nan = (word & 0x7FFFFFFF) > 0x7F800000;
    bits = static_cast<std::uint16_t>(nan ? (word >> 16) | 0x40
                                          : (word + 0x7FFF + ((word >> 16) & 1)) >> 16);
#endif
  }
  HOST_DEVICE explicit operator float() const {
#ifdef __CUDA_ARCH__
    return __uint_as_float(static_cast<std::uint32_t>(bits) << 16);
#else
    return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
#endif
  }
};

constexpr std::size_t size_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return 4;
    case DType::kBF16: return 2;
    case DType::kF64: return 8;
    case DType::kI32: return 4;
    case DType::kI64: return 8;
    case DType::kU8: return 1;
  }
  return 0;
}

constexpr const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::kF32: return "f32";
    case DType::kBF16: return "bf16";
    case DType::kF64: return "f64";
    case DType::kI32: return "i32";
    case DType::kI64: return "i64";
    case DType::kU8: return "u8";
  }
  return "?";
}

inline std::ostream& operator<<(std::ostream& out, DType dtype) {
  return out << name_of(dtype);
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::kF32;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::kBF16;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::kF64;
};
template <>
struct DTypeOf<std::int32_t> {
  static constexpr DType value = DType::kI32;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::kI64;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::kU8;
};

/// Calls body(T{}) with the C++ type behind a floating-point dtype; `op` names the caller in the
/// error.
template <class Body>
decltype(auto) dispatch_floating(DType dtype, const char* op, const Body& body) {
  switch (dtype) {
    case DType::kF32: return body(float{});
    case DType::kBF16: return body(BFloat16{});
    default: fail("[", op, "] needs f32 or bf16, got ", dtype);
  }
}

}  // namespace invp
