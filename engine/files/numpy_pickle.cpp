#include "engine/files/numpy_pickle.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace invp {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kReconstruct[] = {"numpy.core.multiarray._reconstruct",
                                             "numpy._core.multiarray._reconstruct"};
constexpr std::string_view kFromBuffer[] = {"numpy.core.numeric._frombuffer",
                                            "numpy._core.numeric._frombuffer"};
constexpr std::string_view kScalar[] = {"numpy.core.multiarray.scalar",
                                        "numpy._core.multiarray.scalar"};

bool calls(const PickleValue& value, std::span<const std::string_view> names) {
  return value.is(Kind::kCall) && std::ranges::find(names, value.text) != names.end();
}

struct NumpyType {
  std::string_view code;
  StoredType type;
};
constexpr NumpyType kTypes[] = {
    {"f8", StoredType::kF64}, {"f4", StoredType::kF32},   {"f2", StoredType::kF16},
    {"c8", StoredType::kC64}, {"c16", StoredType::kC128}, {"i8", StoredType::kI64},
    {"i4", StoredType::kI32}, {"i2", StoredType::kI16},   {"i1", StoredType::kI8},
    {"u8", StoredType::kU64}, {"u4", StoredType::kU32},   {"u2", StoredType::kU16},
    {"u1", StoredType::kU8},  {"b1", StoredType::kBool},
};

struct ElementType {
  StoredType type;
  bool big_endian;
};

/// numpy.dtype("f8", ...) with the state (version, "<" or ">" or "|", ...).
std::optional<ElementType> element_type(const PickleValue& value) {
  if (!value.is_call("numpy.dtype") || value.items.empty() || !value.items[0]->is_string()) {
    return std::nullopt;
  }
  std::string_view code = value.items[0]->text;
  constexpr std::string_view kOrders = "<>|=";
  bool big = code.starts_with('>');
  if (!code.empty() && kOrders.find(code[0]) != std::string_view::npos) code.remove_prefix(1);
  const auto* found = std::ranges::find(kTypes, code, &NumpyType::code);
  if (found == std::end(kTypes)) return std::nullopt;
  const PickleValue* state = value.state;
  if (state != nullptr && state->items.size() > 1) big = state->items[1]->text == ">";
  return ElementType{found->type, big && size_of(found->type) > 1};
}

std::size_t swap_width(StoredType type) {
  const bool complex = type == StoredType::kC64 || type == StoredType::kC128;
  return size_of(type) / (complex ? 2 : 1);
}

struct Parts {
  const PickleValue* shape;
  const PickleValue* dtype;
  const PickleValue* bytes;
  bool fortran;
};

/// Where the two ways of writing an array keep what it is made of.
std::optional<Parts> parts_of(const PickleValue& value) {
  if (calls(value, kReconstruct)) {
    const PickleValue* state = value.state;  // (version, shape, dtype, is_fortran, bytes)
    if (state == nullptr || !state->is(Kind::kTuple) || state->items.size() != 5) return {};
    const auto& fields = state->items;
    return Parts{fields[1], fields[2], fields[4], fields[3]->integer != 0};
  }
  if (calls(value, kFromBuffer) && value.items.size() == 4) {  // (bytes, dtype, shape, order)
    const auto& fields = value.items;
    return Parts{fields[2], fields[1], fields[0], fields[3]->text == "F"};
  }
  return {};
}

}  // namespace

void NumpyArray::copy_to(std::span<std::byte> to) const {
  CHECK(to.size() == bytes.size(), "[numpy] ", to.size(), " bytes for ", bytes.size());
  const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
  if (bytes.empty()) return;
  const std::size_t size = size_of(type);
  if (!fortran || extents.size() < 2) {
    std::memcpy(to.data(), from, to.size());
  } else {
    std::vector<std::int64_t> index(extents.size());
    std::vector<std::int64_t> strides(extents.size(), 1);
    for (std::size_t d = 1; d < strides.size(); ++d) strides[d] = strides[d - 1] * extents[d - 1];
    for (std::size_t i = 0; i < to.size() / size; ++i) {
      const auto at = std::inner_product(index.begin(), index.end(), strides.begin(), INT64_C(0));
      std::memcpy(to.data() + i * size, from + static_cast<std::size_t>(at) * size, size);
      for (std::size_t d = index.size(); d-- > 0;) {
        if (++index[d] < extents[d]) break;
        index[d] = 0;
      }
    }
  }
  if (big_endian) swap_bytes(to, swap_width(type));
}

std::optional<std::vector<std::int64_t>> NumpyArray::integers() const {
  const std::optional<DType> dtype = tensor_type(type);
  if (is_real(type) || !dtype) return std::nullopt;
  std::vector<std::byte> stored(bytes.size());
  copy_to(stored);
  const Tensor numbers =
      Tensor::empty({static_cast<std::int64_t>(stored.size() / size_of(type))}, *dtype);
  convert_elements(type, stored, numbers);
  std::vector<std::int64_t> result;
  const auto take = [&](auto elements) { result.assign(elements.begin(), elements.end()); };
  switch (*dtype) {
    case DType::kI64: take(numbers.span<std::int64_t>()); break;
    case DType::kI32: take(numbers.span<std::int32_t>()); break;
    default: take(numbers.span<std::uint8_t>()); break;
  }
  return result;
}

std::optional<NumpyArray> numpy_array(const PickleValue& value) {
  const std::optional<Parts> parts = parts_of(value);
  if (!parts || !parts->shape->is(Kind::kTuple) || !parts->bytes->is(Kind::kBytes)) return {};
  const std::optional<ElementType> element = element_type(*parts->dtype);
  if (!element) return {};
  NumpyArray array{element->type, element->big_endian, parts->fortran, {}, parts->bytes->text};
  for (const PickleValue* extent : parts->shape->items) {
    if (!extent->is(Kind::kInt)) return {};
    array.extents.push_back(extent->integer);
  }
  if (checked_bytes(array.extents, array.type) != array.bytes.size()) return {};
  return array;
}

std::optional<double> numpy_scalar(const PickleValue& value) {
  if (!calls(value, kScalar) || value.items.size() != 2) return std::nullopt;
  const std::optional<ElementType> element = element_type(*value.items[0]);
  const PickleValue& stored = *value.items[1];
  if (!element || !stored.is(Kind::kBytes) || stored.text.size() != size_of(element->type)) {
    return std::nullopt;
  }
  const NumpyArray one{element->type, element->big_endian, false, {}, stored.text};
  if (const auto whole = one.integers()) return static_cast<double>(whole->front());
  if (!is_real(one.type)) return std::nullopt;
  std::vector<std::byte> bytes(one.bytes.size());
  one.copy_to(bytes);
  if (one.type == StoredType::kF64) {
    double real = 0;
    std::memcpy(&real, bytes.data(), sizeof(real));
    return real;
  }
  float real = 0;
  convert_to_f32(one.type, bytes, std::span(&real, 1));
  return real;
}

}  // namespace invp
