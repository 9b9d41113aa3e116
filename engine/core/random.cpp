#include "engine/core/random.h"

#include <cmath>
#include <numbers>

namespace invp {

std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key) {
  constexpr std::uint64_t kMultiplier0 = 0xD2511F53;
  constexpr std::uint64_t kMultiplier1 = 0xCD9E8D57;
  constexpr std::uint32_t kWeyl0 = 0x9E3779B9;
  constexpr std::uint32_t kWeyl1 = 0xBB67AE85;
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t product0 = kMultiplier0 * counter[0];
    const std::uint64_t product1 = kMultiplier1 * counter[2];
    counter = {static_cast<std::uint32_t>(product1 >> 32) ^ counter[1] ^ key[0],
               static_cast<std::uint32_t>(product1),
               static_cast<std::uint32_t>(product0 >> 32) ^ counter[3] ^ key[1],
               static_cast<std::uint32_t>(product0)};
    key[0] += kWeyl0;
    key[1] += kWeyl1;
  }
  return counter;
}

// Counter words: draw number, low sample, epoch, purpose (8 bits) with high sample (24 bits).
Random::Random(std::uint64_t seed, Purpose purpose, std::uint64_t epoch, std::uint64_t sample)
    : counter_{0, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(epoch),
               (static_cast<std::uint32_t>(purpose) << 24) |
                   (static_cast<std::uint32_t>(sample >> 32) & 0xFFFFFF)},
      key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)} {}

std::uint32_t Random::bits() {
  if (used_ == 4) {
    block_ = philox4x32(counter_, key_);
    ++counter_[0];
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
