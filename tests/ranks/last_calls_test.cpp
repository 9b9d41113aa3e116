#include "engine/comm/last_calls.h"

#include <gtest/gtest.h>

#include <array>

#include "engine/comm/pace.h"

namespace invp::testing {
namespace {

LastCalls calls(bool in_call, std::uint64_t first, const std::vector<std::string>& texts) {
  LastCalls told{.in_call = in_call};
  for (const std::string& text : texts) told.calls.emplace_back(first++, text);
  return LastCalls::of(told.fields());
}

TEST(LastCalls, ALineForEachGroup) {
  EXPECT_EQ(side_by_side(std::array{CallsOfRank{0, calls(true, 8, {"a", "b"})},
                                    CallsOfRank{1, calls(false, 8, {"a"})},
                                    CallsOfRank{2, calls(true, 9, {"b"})},
                                    CallsOfRank{3, {}, " at step 4, in data"}, CallsOfRank{4, {}}}),
            "ranks 0, 2: in call 9, b\n"
            "rank 1: after call 8, a\n"
            "rank 3: heard of last at step 4, in data\n"
            "rank 4: has made no call\n");
}

TEST(LastCalls, TheFirstThatDiffers) {
  EXPECT_EQ(side_by_side(std::array{CallsOfRank{0, calls(true, 1, {"a", "b", "c"})},
                                    CallsOfRank{1, calls(true, 1, {"a", "x", "y"})},
                                    CallsOfRank{2, calls(true, 2, {"b", "c"})}}),
            "ranks 0, 2: in call 3, c\n"
            "rank 1: in call 3, y\n"
            "the calls part at call 2: ranks 0, 2 b; rank 1 x\n");
}

TEST(LastCalls, RanksInWords) {
  EXPECT_EQ(ranks_in_words({3}), "rank 3");
  EXPECT_EQ(ranks_in_words({1, 3}), "ranks 1, 3");
  EXPECT_EQ(ranks_in_words({0, 1, 2, 3, 7, 9, 10}), "ranks 0-3, 7, 9, 10");
}

TEST(Pace, IsTwentyTimesTheMedianStep) {
  Pace pace;
  Pace::Time now{};
  const auto after = [&](double seconds) {
    now += std::chrono::duration_cast<Pace::Time::duration>(Seconds(seconds));
    pace.step_at(now);
  };
  for (const double seconds : {0.0, 1.0, 2.0, 3.0, 50.0}) after(seconds);
  EXPECT_EQ(pace.patience().count(), 0) << "of four steps";
  after(2.0);
  EXPECT_NEAR(pace.patience().count(), 40, 1e-6);
  for (int i = 0; i < 60; ++i) after(5.0);
  EXPECT_NEAR(pace.patience().count(), 100, 1e-6);
  for (int i = 0; i < 51; ++i) after(0.5);
  EXPECT_NEAR(pace.patience().count(), 10, 1e-6) << "the last hundred count";
}

}  // namespace
}  // namespace invp::testing
