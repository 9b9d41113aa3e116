#include "tools/options/stop_signal.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

namespace invp {
using cli::StopSignal;

namespace {

TEST(StopSignal, IsTheFirstThatCame) {
  const StopSignal signals;
  EXPECT_EQ(StopSignal::received(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(StopSignal::received(), SIGTERM);
}

TEST(StopSignal, MayBeOfATerminalOrALimit) {
  for (const int signal : {SIGHUP, SIGXCPU, SIGXFSZ}) {
    const StopSignal signals;
    std::raise(signal);
    EXPECT_EQ(StopSignal::received(), signal);
  }
}

TEST(StopSignal, OfATerminalIsIgnoredUnderNohup) {
  std::signal(SIGHUP, SIG_IGN);
  {
    const StopSignal signals;
    std::raise(SIGHUP);
    EXPECT_EQ(StopSignal::received(), 0);
  }
  EXPECT_EQ(std::signal(SIGHUP, SIG_DFL), SIG_IGN);
}

TEST(StopSignal, AtOnceAgainItIsTheSameRequest) {
  const StopSignal signals;
  std::raise(SIGINT);
  std::raise(SIGINT);
  std::raise(SIGTERM);
  EXPECT_EQ(StopSignal::received(), SIGINT);
}

TEST(StopSignalDeathTest, ASecondLaterItEndsTheProcess) {
  const auto insist = [](int signal) {
    const StopSignal signals;
    std::raise(SIGINT);
    std::this_thread::sleep_for(std::chrono::milliseconds(1'050));
    std::raise(signal);
  };
  EXPECT_EXIT(insist(SIGINT), ::testing::KilledBySignal(SIGINT), "");
  EXPECT_EXIT(insist(SIGTERM), ::testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignalDeathTest, GoneItLeavesSignalsAsTheyWere) {
  const auto after = [] {
    { const StopSignal signals; }
    std::raise(SIGINT);
  };
  EXPECT_EXIT(after(), ::testing::KilledBySignal(SIGINT), "");
}

}  // namespace
}  // namespace invp
