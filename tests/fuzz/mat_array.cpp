// The bytes of a MATLAB variable, which a file holds compressed: damage seldom gets through to its
// reader there. The first byte says the byte order.
#include "data/sets/mat_array.h"

#include <algorithm>
#include <vector>

#include "tests/fuzz/fuzz.h"

namespace invp::fuzz {
namespace {

void walk(const MatArray& array) {
  if (array.is(MatClass::kText)) reads([&] { mat_text(array, "array"); });
  if (array.is_number()) {
    for (std::int64_t i = 0; i < array.count; ++i) mat_number(array, i);
  }
  for (const MatArray& inner : array.inner) walk(inner);
}

}  // namespace
}  // namespace invp::fuzz

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace invp;
  if (size == 0) return -1;
  const bool swapped = data[0] % 2 == 1;
  // Elements of 8 bytes are read where an allocation begins.
  std::vector<std::byte> bytes(size - 1);
  std::ranges::copy(std::as_bytes(fuzz::Bytes(data + 1, size - 1)), bytes.begin());
  std::vector<std::byte> begin = bytes;
  mat_variable_name(begin, swapped);
  fuzz::reads([&] { fuzz::walk(read_mat_array(bytes, swapped, "array")); });
  return 0;
}
