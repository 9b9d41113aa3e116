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

constexpr std::size_t kMaxRank = 64;  // numpy's

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
  bool fortran;             ///< the first index runs fastest
  const PickleValue* axes;  ///< null, or which of the stored axes each axis is
};

/// Where the two ways of writing an array keep what it is made of.
std::optional<Parts> parts_of(const PickleValue& value) {
  if (calls(value, kReconstruct)) {
    const PickleValue* state = value.state;  // (version, shape, dtype, is_fortran, bytes)
    if (state == nullptr || !state->is(Kind::kTuple) || state->items.size() != 5) return {};
    const auto& fields = state->items;
    return Parts{fields[1], fields[2], fields[4], fields[3]->integer != 0, nullptr};
  }
  // (bytes, dtype, shape, order), or with the order "K" the axes behind them
  if (!calls(value, kFromBuffer) || value.items.size() < 4 || value.items.size() > 5) return {};
  const auto& fields = value.items;
  const bool kept = fields.size() == 5 && fields[3]->text == "K" && !fields[4]->is(Kind::kNone);
  return Parts{fields[2], fields[1], fields[0], fields[3]->text == "F", kept ? fields[4] : nullptr};
}

std::optional<std::vector<std::int64_t>> whole_numbers(const PickleValue& tuple) {
  if (!tuple.is(Kind::kTuple) || tuple.items.size() > kMaxRank) return std::nullopt;
  std::vector<std::int64_t> numbers;
  for (const PickleValue* item : tuple.items) {
    if (!item->is(Kind::kInt)) return std::nullopt;
    numbers.push_back(item->integer);
  }
  return numbers;
}

/// The strides, in elements, of an array that is not empty.
std::vector<std::int64_t> strides_of(std::span<const std::int64_t> extents, bool fortran) {
  std::vector<std::int64_t> strides(extents.size(), 1);
  for (std::size_t i = 1; i < extents.size(); ++i) {
    const std::size_t d = fortran ? i : extents.size() - 1 - i;
    const std::size_t inner = fortran ? d - 1 : d + 1;
    strides[d] = strides[inner] * extents[inner];
  }
  return strides;
}

/// Puts the axes in their order; false if `axes` is none.
bool put_in_order(std::vector<std::int64_t>& values, std::span<const std::int64_t> axes) {
  if (axes.size() != values.size()) return false;
  std::vector<bool> seen(axes.size());
  std::vector<std::int64_t> ordered;
  for (const std::int64_t axis : axes) {
    const auto at = static_cast<std::uint64_t>(axis);
    if (at >= seen.size() || seen[at]) return false;
    seen[at] = true;
    ordered.push_back(values[at]);
  }
  values = std::move(ordered);
  return true;
}

}  // namespace

void NumpyArray::copy_to(std::span<std::byte> to) const {
  CHECK(to.size() == bytes.size(), "[numpy] ", to.size(), " bytes for ", bytes.size());
  const auto* from = reinterpret_cast<const std::byte*>(bytes.data());
  if (bytes.empty()) return;
  const std::size_t size = size_of(type);
  if (strides == strides_of(extents, /*fortran=*/false)) {
    std::memcpy(to.data(), from, to.size());
  } else {
    std::vector<std::int64_t> index(extents.size());
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
  if (!parts || !parts->bytes->is(Kind::kBytes)) return {};
  const std::optional<ElementType> element = element_type(*parts->dtype);
  auto extents = whole_numbers(*parts->shape);
  if (!element || !extents) return {};
  NumpyArray array{element->type, element->big_endian, std::move(*extents), {}, parts->bytes->text};
  if (checked_bytes(array.extents, array.type) != array.bytes.size()) return {};
  if (!array.bytes.empty()) array.strides = strides_of(array.extents, parts->fortran);
  if (parts->axes == nullptr) return array;
  const auto axes = whole_numbers(*parts->axes);
  if (!axes || !put_in_order(array.extents, *axes)) return {};
  if (!array.bytes.empty()) put_in_order(array.strides, *axes);
  return array;
}

std::string why_no_array(const PickleValue& value) {
  if (!calls(value, kReconstruct) && !calls(value, kFromBuffer)) return {};
  const std::optional<Parts> parts = parts_of(value);
  if (!parts) return "it is not described the way numpy does";
  if (!element_type(*parts->dtype)) return "it is an array of objects, texts or records";
  if (parts->bytes->is(Kind::kOpaque)) return "its elements are beside the pickle";
  return "its shape and its elements do not fit";
}

std::string_view numpy_code(StoredType type) {
  const auto* found = std::ranges::find(kTypes, type, &NumpyType::type);
  return found == std::end(kTypes) ? std::string_view() : found->code;
}

std::optional<double> numpy_scalar(const PickleValue& value) {
  if (!calls(value, kScalar) || value.items.size() != 2) return std::nullopt;
  const std::optional<ElementType> element = element_type(*value.items[0]);
  const PickleValue& stored = *value.items[1];
  if (!element || !stored.is(Kind::kBytes) || stored.text.size() != size_of(element->type)) {
    return std::nullopt;
  }
  const NumpyArray one{element->type, element->big_endian, {}, {}, stored.text};
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
