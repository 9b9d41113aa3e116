#include "engine/core/random.h"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <set>
#include <vector>

namespace invp {
namespace {

// Known answers of philox4x32-10 from the authors' Random123 distribution (kat_vectors).
TEST(Philox, MatchesPublishedVectors) {
  using Words = std::array<std::uint32_t, 4>;
  EXPECT_EQ(philox4x32({0, 0, 0, 0}, {0, 0}),
            (Words{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(philox4x32({0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff}),
            (Words{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(philox4x32({0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}, {0xa4093822, 0x299f31d0}),
            (Words{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(Random, IsAFunctionOfItsAddress) {
  const auto first = [](std::uint64_t seed, Purpose purpose, std::uint64_t epoch,
                        std::uint64_t sample) {
    return Random(seed, purpose, epoch, sample).bits();
  };
  EXPECT_EQ(first(1, Purpose::kOrder, 2, 3), first(1, Purpose::kOrder, 2, 3));
  const std::set<std::uint32_t> different = {
      first(1, Purpose::kOrder, 2, 3),         first(2, Purpose::kOrder, 2, 3),
      first(1, Purpose::kAugmentation, 2, 3),  first(1, Purpose::kOrder, 3, 3),
      first(1, Purpose::kOrder, 2, 4),         first(1, Purpose::kOrder, 2, 3 + (1ULL << 32)),
      first(1ULL << 32, Purpose::kOrder, 2, 3)};
  EXPECT_EQ(different.size(), 7u);
}

TEST(Random, UniformHasItsMoments) {
  Random random(7, Purpose::kBenchmark);
  double sum = 0;
  double squares = 0;
  const int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double u = random.uniform();
    ASSERT_GE(u, 0.0);
    ASSERT_LT(u, 1.0);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / count, 0.5, 4 * std::sqrt(1.0 / 12 / count));
  EXPECT_NEAR(squares / count, 1.0 / 3, 4 * std::sqrt(4.0 / 45 / count));
}

TEST(Random, IntegerCoversItsRangeEvenly) {
  Random random(7, Purpose::kBenchmark);
  std::array<int, 5> counts{};
  const int count = 50000;
  for (int i = 0; i < count; ++i) ++counts.at(static_cast<std::size_t>(random.integer(-2, 2) + 2));
  double chi_squared = 0;
  for (const int c : counts) chi_squared += (c - count / 5.0) * (c - count / 5.0) / (count / 5.0);
  EXPECT_LT(chi_squared, 18.5);  // 4 degrees of freedom: p = 0.001
  EXPECT_EQ(random.integer(3, 3), 3);
}

TEST(Random, NormalHasItsMoments) {
  Random random(9, Purpose::kInitialisation);
  double sum = 0;
  double squares = 0;
  const int count = 200000;
  for (int i = 0; i < count; ++i) {
    const double z = random.normal();
    sum += z;
    squares += z * z;
  }
  EXPECT_NEAR(sum / count, 0, 4 / std::sqrt(count));
  EXPECT_NEAR(squares / count, 1, 4 * std::sqrt(2.0 / count));
}

TEST(Random, ShuffleIsAPermutation) {
  std::vector<int> values = {0, 1, 2, 3, 4, 5, 6, 7};
  Random(3, Purpose::kOrder).shuffle(std::span<int>(values));
  EXPECT_EQ(std::set<int>(values.begin(), values.end()).size(), 8u);
}

}  // namespace
}  // namespace invp
