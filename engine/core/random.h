// Randomness is addressed, not consumed: a stream is a pure function of (seed, purpose, epoch,
// sample), so results do not depend on the number of threads, ranks or restarts. Philox4x32-10
// (Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011).
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <utility>

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
};

/// One Philox block: four random words for a 128-bit counter and a 64-bit key.
std::array<std::uint32_t, 4> philox4x32(std::array<std::uint32_t, 4> counter,
                                        std::array<std::uint32_t, 2> key);

class Random {
 public:
  Random(std::uint64_t seed, Purpose purpose, std::uint64_t epoch = 0, std::uint64_t sample = 0);

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
  std::array<std::uint32_t, 4> counter_;
  std::array<std::uint32_t, 2> key_;
  std::array<std::uint32_t, 4> block_{};
  int used_ = 4;
};

}  // namespace invp
