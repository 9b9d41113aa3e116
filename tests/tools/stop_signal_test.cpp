#include "tools/options/stop_signal.h"

#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <thread>

#include "engine/core/stop.h"

namespace invp {
using cli::StopSignal;

namespace {

TEST(StopSignal, IsTheFirstThatCame) {
  const StopSignal signals;
  EXPECT_EQ(stop_signal(), 0);
  std::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), SIGTERM);
}

TEST(StopSignal, MayBeOfATerminalALimitOrALauncher) {
  for (const int signal : {SIGHUP, SIGXCPU, SIGUSR1}) {
    const StopSignal signals;
    std::raise(signal);
    EXPECT_EQ(stop_signal(), signal);
  }
}

TEST(StopSignal, OfATerminalIsIgnoredUnderNohup) {
  std::signal(SIGHUP, SIG_IGN);
  {
    const StopSignal signals;
    std::raise(SIGHUP);
    EXPECT_EQ(stop_signal(), 0);
  }
  EXPECT_EQ(std::signal(SIGHUP, SIG_DFL), SIG_IGN);
}

TEST(StopSignal, AtOnceAgainItIsTheSameRequest) {
  const StopSignal signals;
  std::raise(SIGINT);
  std::raise(SIGINT);
  std::raise(SIGTERM);
  EXPECT_EQ(stop_signal(), SIGINT);
}

TEST(StopSignal, IsNoneForAWriteThatFails) {
  const StopSignal signals;
  std::raise(SIGPIPE);
  std::raise(SIGXFSZ);
  EXPECT_EQ(stop_signal(), 0);
}

// The system sends it every second until the hard limit.
TEST(StopSignal, OfALimitOnCpuTimeIsOneRequestForGood) {
  const StopSignal signals;
  std::raise(SIGXCPU);
  std::this_thread::sleep_for(std::chrono::milliseconds(1'050));
  std::raise(SIGXCPU);
  EXPECT_EQ(stop_signal(), SIGXCPU);
}

TEST(StopSignalDeathTest, WhatNeverEndsIsLeftBehindOnceNothingIsUnsaved) {
  const auto hang = [] {
    const StopSignal signals;
    set_unsaved_work(true);
    std::raise(SIGTERM);
    std::this_thread::sleep_for(std::chrono::seconds(5));
    std::fputs("saved\n", stderr);
    set_unsaved_work(false);
    std::this_thread::sleep_for(std::chrono::seconds(60));
  };
  EXPECT_EXIT(hang(), ::testing::ExitedWithCode(128 + SIGTERM), "saved");
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
