// Randomness is addressed, not consumed: a stream is a pure function of (seed, purpose, epoch,
// sample), so results do not depend on the number of threads, ranks or restarts. Philox4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

#include "engine/core/host_device.h"

namespace invp {

/// What a stream is for. Values are part of the checkpoint contract: never renumber.
enum class Purpose : std::uint32_t {
  kInitialisation = 1,
  kBank = 2,
  kOrder = 3,
  kAugmentation = 4,
  kSynthetic = 5,
  kBenchmark = 6,
  kSplit = 7,
  kAnchorSample = 8,
  kRegionSample = 9,
};

/// One Philox block: four random words for a 128-bit counter and a 64-bit key.
HOST_DEVICE inline std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
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

/// The words of a stream by their number, for kernels of both devices.
struct RandomWords {
  std::uint64_t seed;
  Purpose purpose;
  std::uint64_t epoch;
  std::uint64_t sample;

  /// Words 4 i to 4 i + 3. Counter: i, low sample, epoch, purpose (8 bits) with high sample (24).
  HOST_DEVICE std::array<std::uint32_t, 4> block(std::uint32_t i) const {
    return philox4x32({i, static_cast<std::uint32_t>(sample), static_cast<std::uint32_t>(epoch),
                       (static_cast<std::uint32_t>(purpose) << 24) |
                           (static_cast<std::uint32_t>(sample >> 32) & 0xFFFFFF)},
                      {static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)});
  }
  HOST_DEVICE std::uint32_t word(std::uint64_t i) const {
    return block(static_cast<std::uint32_t>(i / 4))[i % 4];
  }
};

class Random {
 public:
  Random(std::uint64_t seed, Purpose purpose, std::uint64_t epoch = 0, std::uint64_t sample = 0)
      : words_{seed, purpose, epoch, sample} {}

  std::uint32_t bits();
  /// Uniform real in [0, 1), 53 random bits.
  double uniform();
  /// Uniform real in [low, high); exactly `low` when both are equal.
  double uniform(double low, double high) { return low + (high - low) * uniform(); }
  /// Uniform integer in [low, high], both ends included, without modulo bias.
  std::int64_t integer(std::int64_t low, std::int64_t high);
  /// Standard normal (Box-Muller).
  double normal();

  /// Fisher-Yates.
  template <class T>
  void shuffle(std::span<T> values) {
    for (std::size_t i = values.size(); i > 1; --i) {
      std::swap(values[i - 1],
                values[static_cast<std::size_t>(integer(0, static_cast<std::int64_t>(i) - 1))]);
    }
  }

 private:
  RandomWords words_;
  std::uint32_t next_ = 0;  ///< block
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace invp
