#include "engine/files/numpy_pickle.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace invp {
namespace {

using Kind = PickleValue::Kind;

constexpr std::string_view kGlobals[] = {
    "numpy.core.multiarray._reconstruct",
    "numpy._core.multiarray._reconstruct",
    "numpy.core.multiarray.scalar",
    "numpy._core.multiarray.scalar",
    "numpy.ndarray",
    "numpy.dtype",
    "_codecs.encode",
};

struct NumpyType {
  std::string_view code;
  StoredType type;
};
constexpr NumpyType kTypes[] = {
    {"f8", StoredType::kF64}, {"f4", StoredType::kF32}, {"f2", StoredType::kF16},
    {"i8", StoredType::kI64}, {"i4", StoredType::kI32}, {"i2", StoredType::kI16},
    {"i1", StoredType::kI8},  {"u1", StoredType::kU8},  {"b1", StoredType::kBool},
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
  const auto* found = std::ranges::find(kTypes, value.items[0]->text, &NumpyType::code);
  if (found == std::end(kTypes)) return std::nullopt;
  const PickleValue* state = value.state;
  const bool big = state != nullptr && state->items.size() > 1 && state->items[1]->text == ">";
  return ElementType{found->type, big};
}

}  // namespace

std::span<const std::string_view> numpy_globals() {
  return kGlobals;
}

Tensor NumpyArray::to_tensor() const {
  const Shape shape(extents);
  return read_elements(type, shape, big_endian && size_of(type) > 1, [&](std::span<std::byte> to) {
    if (!to.empty()) std::memcpy(to.data(), bytes.data(), to.size());
  });
}

std::optional<NumpyArray> numpy_array(const PickleValue& value, const std::string& file) {
  if (!value.is(Kind::kCall) || !value.text.ends_with("multiarray._reconstruct"))
    return std::nullopt;
  const auto broken = [&](const char* what) {
    fail(file, ": at byte ", value.offset, ": a numpy array ", what);
  };
  const PickleValue* state = value.state;  // (version, shape, dtype, is_fortran, bytes)
  if (state == nullptr || !state->is(Kind::kTuple) || state->items.size() != 5 ||
      !state->items[1]->is(Kind::kTuple)) {
    broken("is not described the way numpy does");
  }
  const auto& fields = state->items;
  const std::optional<ElementType> element = element_type(*fields[2]);
  if (!element)
    broken("is of a type that is not read (objects, texts, complex or unsigned numbers)");
  if (!fields[3]->is(Kind::kBool) || fields[3]->integer != 0) broken("is in Fortran order");
  NumpyArray array{element->type, element->big_endian, {}, fields[4]->text};
  for (const PickleValue* extent : fields[1]->items) {
    if (!extent->is(Kind::kInt)) broken("has an extent that is no number");
    array.extents.push_back(extent->integer);
  }
  const auto bytes = checked_bytes(array.extents, size_of(array.type));
  if (!fields[4]->is(Kind::kBytes) || !bytes || *bytes != array.bytes.size()) {
    broken("has fewer or more bytes than its shape and type say");
  }
  return array;
}

std::optional<double> numpy_scalar(const PickleValue& value) {
  if (!value.is(Kind::kCall) || !value.text.ends_with("multiarray.scalar") ||
      value.items.size() != 2) {
    return std::nullopt;
  }
  const std::optional<ElementType> element = element_type(*value.items[0]);
  const PickleValue& stored = *value.items[1];
  if (!element || !stored.is(Kind::kBytes) || stored.text.size() != size_of(element->type)) {
    return std::nullopt;
  }
  std::array<std::byte, 8> bytes{};
  std::memcpy(bytes.data(), stored.text.data(), stored.text.size());
  const std::span used = std::span(bytes).first(stored.text.size());
  if (element->big_endian) swap_bytes(used, used.size());
  if (element->type == StoredType::kF64) return std::bit_cast<double>(bytes);
  if (element->type == StoredType::kI64) {
    return static_cast<double>(std::bit_cast<std::int64_t>(bytes));
  }
  const Tensor number = Tensor::empty({1}, tensor_type(element->type));
  convert_elements(element->type, used, number);
  switch (number.dtype()) {
    case DType::kF32: return *number.data<float>();
    case DType::kI32: return *number.data<std::int32_t>();
    default: return *number.data<std::uint8_t>();
  }
}

}  // namespace invp
