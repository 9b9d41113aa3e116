// Ranks that come late, hang, fail or are cut off, as the star between them sees it. Its ranks are
// threads here; with processes: failures_test.cpp.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <stdexcept>
#include <thread>

#include "engine/comm/control.h"
#include "tests/ranks/relay.h"
#include "tests/ranks/star.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

TEST(LostRanks, NamesRanksThatDoNotCome) {
  Limits limits = kShort;
  limits.rendezvous = Seconds(0.5);
  const auto ends = run(4, limits, [](int, Control&) { ADD_FAILURE(); }, {1, 3});
  for (const int rank : {0, 2})
    EXPECT_EQ(ends[static_cast<std::size_t>(rank)], "ranks 1, 3 did not come within 0.5 s");
}

TEST(LostRanks, NamesTheRankThatKeepsTheOthersWaiting) {
  const TempFolder folder;
  const auto ends = run(
      3, kShort,
      [](int rank, Control& control) {
        control.exchange({.step = 11});
        control.entering("data", 12);
        for (int i = 0; rank == 1 && i < 1000; ++i) {  // until the run is lost
          std::this_thread::sleep_for(std::chrono::milliseconds(20));
          control.waiting({}, Seconds(0));
        }
        control.exchange({.step = 12});
      },
      {}, folder.path());
  expect_all(ends, {"rank 1 (", " at step 12, in data: rank ", "has waited for 1.0 s in exchange"});
  const std::string record = read_all(folder / "rank-0002.txt");
  EXPECT_NE(record.find("2 step 12: exchange tickets"), std::string::npos) << record;
}

TEST(LostRanks, WaitsForWhatTakesLongWhileItMovesOn) {
  const auto ends = run(3, kShort, [](int rank, Control& control) {
    control.entering("evaluation", 12, rank == 1);
    for (int i = 0; rank == 1 && i < 25; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
      control.progress();
    }
    control.exchange({.step = 12});
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

TEST(LostRanks, EndsWhatTakesLongAndDoesNotMoveOn) {
  Limits limits = kShort;
  limits.slow = Seconds(1.5);
  const auto ends = run(3, limits, [](int rank, Control& control) {
    control.entering("evaluation", 12, rank == 1);
    for (int i = 0; rank == 1 && i < 1000; ++i) {
      if (i < 10) control.progress();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      control.waiting({}, Seconds(0));
    }
    control.exchange({.step = 12});
  });
  expect_all(ends, {"rank 1 (", " at step 12, in evaluation: rank "});
}

// Bytes that are written, as of a checkpoint, are no call of ours.
TEST(LostRanks, WaitsWhileACountMovesOn) {
  std::atomic<std::uint64_t> bytes = 0;
  Limits limits = kShort;
  limits.slow = Seconds(1);
  const auto ends = run(2, limits, [&](int rank, Control& control) {
    if (rank == 0) {
      control.progress_by([&] { return bytes.load(); });
      control.entering("checkpoint", 3, true);
      for (int i = 0; i < 30; ++i) {
        ++bytes;
        std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
    }
    control.exchange({.step = 4});
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

// The deadline is a floor: twenty times the median of the steps so far count where that is more.
TEST(LostRanks, WaitsTwentyTimesAsLongAsStepsTake) {
  Limits limits = kShort;
  limits.step = Seconds(0.3);
  std::atomic<int> last = 0;
  const auto ends = run(2, limits, [&](int rank, Control& control) {
    for (int step = 0; step < 20; ++step) {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      if (rank == 1 && step == 12) std::this_thread::sleep_for(std::chrono::milliseconds(800));
      for (int i = 0; rank == 1 && step == 15 && i < 5000; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        control.waiting({}, Seconds(0));
      }
      control.exchange({.step = step});
      last = step;
    }
  });
  EXPECT_EQ(last, 14);
  expect_all(ends, {"rank 1 (", " at step 14, in exchange tickets: rank 0 (", " has waited for "});
}

TEST(LostRanks, ComparesWhatRanksWereDoing) {
  constexpr CollectiveCall kSum{"all_reduce", "gradients", 400, DType::kF32};
  constexpr CollectiveCall kGather{"all_gather", "updates", 64, DType::kI32};
  const auto ends = run(4, kShort, [&](int rank, Control& control) {
    control.exchange({.step = 7});
    for (const CollectiveCall& call : {kSum, rank == 2 ? kGather : kSum}) {  // a fault of rank 2
      control.entered(call);
      control.left(call);
    }
    if (rank == 3) return;
    control.entered(kSum);
    for (int i = 0; i < 1000; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      control.waiting(kSum, Seconds(0.02 * i));
    }
  });
  EXPECT_EQ(ends[3], "");
  expect_all({ends[0]},
             {"rank 3 (", ") has ended: rank ",
              "\nranks 0-2: in call 4, all_reduce gradients, 400 bytes of f32, step 7\n",
              "\nrank 3: heard of last at step 7",
              "\nthe calls part at call 3: ranks 0, 1 all_reduce gradients, 400 bytes of f32, ",
              ", step 7; rank 2 all_gather updates, 64 bytes of i32, step 7\n"});
  EXPECT_EQ(std::count(ends[1].begin(), ends[1].end(), '\n'), 0) << ends[1];
}

TEST(LostRanks, NamesARankAtAnotherStep) {
  const auto ends =
      run(2, kPatient, [](int rank, Control& control) { control.exchange({.step = 5 + rank}); });
  expect_all(ends, {"rank 1 (", ") is at step 6, rank 0 at step 5"});
}

TEST(LostRanks, PassesOnWhyARankEndsTheRun) {
  const auto aborted = run(3, kPatient, [](int rank, Control& control) {
    if (rank == 2) control.abort("runs/a/last: No space left on device");
    control.exchange({.step = 0});
  });
  expect_all(aborted, {"rank 2 (", "): runs/a/last: No space left on device"});
  const auto thrown = run(3, kPatient, [](int rank, Control& control) {
    control.entering("data", 4);
    if (rank == 1) throw std::runtime_error("a picture");
    control.exchange({.step = 4});
  });
  EXPECT_EQ(thrown[1], "a picture");
  expect_all({thrown[0], thrown[2]}, {"rank 1 (", "): gave up at step 4"});
}

TEST(LostRanks, NamesARankThatHasEndedEarly) {
  const auto ends = run(3, kShort, [](int rank, Control& control) {
    if (rank != 1) control.exchange({.step = 0});
  });
  EXPECT_EQ(ends[1], "");
  expect_all({ends[0], ends[2]}, {"rank 1 (", ") has ended: rank "});
}

// At three moments. The rank that is cut off ends itself; rank 0 names it, and the others end.
TEST(LostRanks, EndsAllRanksWhenTheCableOfOneIsCut) {
  Limits limits = kPatient;
  limits.silence = Seconds(2);
  for (const int moment : {3, 26, 85}) {
    MeetingPlace all = new_place();
    Relay cable(all.ports.front());
    std::array<std::string, 3> ends;
    std::vector<std::thread> threads;
    for (int rank = 0; rank < 3; ++rank) {
      MeetingPlace place = place_for(rank, all);
      if (rank == 2) place.ports = {cable.port()};
      threads.emplace_back([&, rank, place = std::move(place)]() mutable {
        ends[static_cast<std::size_t>(rank)] = error_of([&] {
          Control control({.rank = rank, .size = 3}, std::move(place), limits);
          for (int step = 0;; ++step) {
            if (rank == 1 && step == moment) cable.cut();
            control.exchange({.step = step});
          }
        });
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_NE(ends[0].find("rank 2 ("), std::string::npos) << ends[0];
    EXPECT_NE(ends[0].find("has not been heard of for 2.0 s at step "), std::string::npos);
    EXPECT_EQ(ends[0], ends[1]);
    EXPECT_NE(ends[2].find("rank 0 ("), std::string::npos) << ends[2];
    EXPECT_NE(ends[2].find("has not been heard of for 2.0 s"), std::string::npos) << ends[2];
  }
}

}  // namespace
}  // namespace invp::testing
