#include "engine/core/random.h"

#include <cmath>
#include <numbers>

namespace invp {

std::uint32_t Random::bits() {
  if (used_ == 4) {
    block_ = words_.block(next_++);
    used_ = 0;
  }
  return block_[static_cast<std::size_t>(used_++)];
}

double Random::uniform() {
  const std::uint64_t high = bits() >> 5;  // 27 bits
  const std::uint64_t low = bits() >> 6;   // 26 bits
  return static_cast<double>((high << 26) | low) * 0x1.0p-53;
}

std::int64_t Random::integer(std::int64_t low, std::int64_t high) {
  const std::uint64_t range =
      static_cast<std::uint64_t>(high) - static_cast<std::uint64_t>(low) + 1;
  const auto draw = [this] { return (static_cast<std::uint64_t>(bits()) << 32) | bits(); };
  if (range == 0) return static_cast<std::int64_t>(draw());  // all 2^64 values
  const std::uint64_t limit =
      -range % range;  // 2^64 mod range: draws below it would be over-represented
  std::uint64_t value = draw();
  while (value < limit) value = draw();
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(low) + value % range);
}

double Random::normal() {
  const double radius = std::sqrt(-2.0 * std::log1p(-uniform()));
  return radius * std::cos(2.0 * std::numbers::pi * uniform());
}

}  // namespace invp
