// The star between ranks. Its ranks are threads here; with processes: failures_test.cpp.
#include "engine/comm/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <csignal>
#include <functional>
#include <stdexcept>
#include <thread>

#include "engine/comm/hub.h"
#include "engine/core/stop.h"
#include "tests/ranks/relay.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

constexpr Limits kShort{.rendezvous = Seconds(20),
                        .step = Seconds(1),
                        .slow = Seconds(5),
                        .silence = Seconds(5),
                        .beat = Seconds(0.05),
                        .end = Seconds(0)};
/// Nothing here is waited for so long.
constexpr Limits kPatient{.beat = Seconds(0.05), .end = Seconds(0)};

MeetingPlace place_for(int rank, MeetingPlace& all) {
  MeetingPlace place{.hosts = all.hosts, .ports = all.ports, .token = all.token};
  if (rank == 0) place.listening = std::move(all.listening);
  return place;
}

using Body = std::function<void(int rank, Control&)>;

MeetingPlace new_place() {
  MeetingPlace place{.hosts = {"127.0.0.1"}, .token = "token", .listening = listen_at({0})};
  place.ports = {port_of(place.listening)};
  return place;
}

/// What ended each rank, and below it what rank 0 is to print of all; empty where nothing did.
/// Ranks of `absent` never come.
std::vector<std::string> run(int ranks, const Limits& limits, const Body& body,
                             const std::vector<int>& absent = {},
                             const std::filesystem::path& folder = {}) {
  MeetingPlace all = new_place();
  std::vector<std::string> ends(static_cast<std::size_t>(ranks));
  std::vector<std::thread> threads;
  for (int rank = 0; rank < ranks; ++rank) {
    if (std::find(absent.begin(), absent.end(), rank) != absent.end()) continue;
    threads.emplace_back([&, rank, place = place_for(rank, all)]() mutable {
      try {
        Control control({.rank = rank, .size = ranks}, std::move(place), limits, folder);
        body(rank, control);
      } catch (const RunLost& lost) {
        ends[static_cast<std::size_t>(rank)] = lost.what();
        if (!lost.calls().empty()) ends[static_cast<std::size_t>(rank)] += '\n' + lost.calls();
      } catch (const std::exception& error) {
        ends[static_cast<std::size_t>(rank)] = error.what();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  forget_stop();
  return ends;
}

void expect_all(const std::vector<std::string>& ends, const std::vector<const char*>& parts) {
  for (std::size_t rank = 0; rank < ends.size(); ++rank)
    for (const char* const part : parts)
      EXPECT_NE(ends[rank].find(part), std::string::npos) << rank << ": " << ends[rank];
}

TEST(Control, TellsAllWhatRank0Says) {
  const auto ends = run(4, kPatient, [](int rank, Control& control) {
    EXPECT_EQ(control.share(rank == 0 ? "an id" : "nothing"), "an id");
    EXPECT_EQ(control.share(rank == 0 ? "another" : ""), "another");
  });
  expect_all(ends, {});
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

// Fifteen of the ports are taken: by somebody who says nothing, by runs with other tokens.
TEST(Control, FindsItsRunAmongOthersPorts) {
  const std::string name = message("a start of ", getpid());
  const std::vector<int> ports = ports_of(name);
  Limits passing = kShort;
  passing.step = Seconds(0.05);
  std::vector<Socket> silent;
  std::vector<std::unique_ptr<Hub>> others;
  for (std::size_t i = 0; i < ports.size(); ++i) {
    if (i == 14) continue;
    try {
      Socket taken = listen_at({ports[i]});
      if (i == 3)
        silent.push_back(std::move(taken));
      else
        others.push_back(std::make_unique<Hub>(std::move(taken), 1, "another", passing));
    } catch (const Error&) {  // by somebody else: the better
    }
  }
  std::vector<std::thread> threads;
  for (const int rank : {0, 1, 2}) {
    threads.emplace_back([&, rank] {
      const Launch launch{.starter = Starter::kTorchrun,
                          .ranks = {.rank = rank, .size = 3},
                          .host = "127.0.0.1",
                          .name = name,
                          .ports = ports};
      EXPECT_NO_THROW({
        Control control(launch.ranks, meet_at(launch), kPatient);
        EXPECT_EQ(control.share(rank == 0 ? "id" : ""), "id");
      });
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(Control, AddsUpTickets) {
  const auto ends = run(5, kPatient, [](int rank, Control& control) {
    for (int step = 0; step < 200; ++step) {
      const Ticket total = control.exchange({.step = step,
                                             .images = 10 + rank,
                                             .bad = rank == 3 ? step : 0,
                                             .plain = step % 2 == 0 || rank != 4,
                                             .save = step == 7 && rank == 0});
      EXPECT_EQ(total.step, step);
      EXPECT_EQ(total.images, 60);
      EXPECT_EQ(total.bad, step);
      EXPECT_EQ(total.plain, step % 2 == 0);
      EXPECT_EQ(total.save, step == 7);
      EXPECT_FALSE(total.stop);
    }
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

TEST(Control, TellsWhoKeepsTheOthersWaiting) {
  const auto ends = run(3, kPatient, [](int rank, Control& control) {
    std::vector<std::string> notes;
    for (int step = 0; step < 210; ++step) {
      // Rank 1 is slow at first; then all take as long.
      if (step > 101 || rank == 1) std::this_thread::sleep_for(std::chrono::milliseconds(3));
      const std::string note = control.exchange({.step = step}).note;
      if (!note.empty()) notes.push_back(note);
    }
    ASSERT_FALSE(notes.empty());
    EXPECT_EQ(notes[0].find("rank 1 ("), 0U) << notes[0];
    EXPECT_NE(notes[0].find(") keeps the others waiting "), std::string::npos) << notes[0];
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

TEST(Control, StopsAllAfterTheSameStep) {
  const auto ends = run(3, kPatient, [](int rank, Control& control) {
    for (int step = 0; step < 5; ++step)
      EXPECT_EQ(control.exchange({.step = step, .stop = rank == 1 && step == 3}).stop, step >= 3);
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

TEST(Control, DefersASignalUntilAllAgree) {
  const auto ends = run(2, kPatient, [](int rank, Control& control) {
    control.exchange({.step = 0});
    if (rank == 1) request_stop(SIGUSR1);
    EXPECT_EQ(stop_signal(), 0);
    EXPECT_TRUE(unsaved_work());
    // Whether the other rank's thread sees the wish of this process in time is open.
    for (int step = 1; !control.exchange({.step = step}).stop; ++step) {
    }
    EXPECT_EQ(stop_signal(), SIGUSR1);
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

TEST(Control, AgreesOnFacts) {
  const auto ends = run(3, kPatient, [](int, Control& control) {
    control.agree({{"lr", "0.03"}, {"note", ""}, {"data", "a\nb"}});
    control.agree({});
  });
  for (const std::string& end : ends) EXPECT_EQ(end, "");
}

TEST(Control, NamesTheFactThatDiffers) {
  const auto with = [](const char* name, const char* value) {
    return run(3, kPatient, [&](int rank, Control& control) {
      std::vector<std::pair<std::string, std::string>> facts = {{"seed", "0"}, {"lr", "0.03"}};
      if (rank == 2) facts[1] = {name, value};
      control.agree(facts);
    });
  };
  expect_all(with("lr", "0.06"), {"rank 2 (", "): lr is 0.06, rank 0's is 0.03"});
  expect_all(with("lr", ""), {"): lr is empty, rank 0's is 0.03"});
  expect_all(with("tau", "1"), {"): lr is not there, rank 0's is 0.03"});
}

TEST(Control, NamesRanksThatDoNotCome) {
  Limits limits = kShort;
  limits.rendezvous = Seconds(0.5);
  const auto ends = run(4, limits, [](int, Control&) { ADD_FAILURE(); }, {1, 3});
  for (const int rank : {0, 2})
    EXPECT_EQ(ends[static_cast<std::size_t>(rank)], "ranks 1, 3 did not come within 0.5 s");
}

TEST(Control, NamesTheRankThatKeepsTheOthersWaiting) {
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

TEST(Control, WaitsForWhatTakesLongWhileItMovesOn) {
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

TEST(Control, EndsWhatTakesLongAndDoesNotMoveOn) {
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
TEST(Control, WaitsWhileACountMovesOn) {
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
TEST(Control, WaitsTwentyTimesAsLongAsStepsTake) {
  Limits limits = kShort;
  limits.step = Seconds(0.3);
  std::atomic<int> last = 0;
  const auto ends = run(2, limits, [&](int rank, Control& control) {
    for (int step = 0; step < 20; ++step) {
      std::this_thread::sleep_for(std::chrono::milliseconds(60));
      if (rank == 1 && step == 12) std::this_thread::sleep_for(std::chrono::milliseconds(800));
      for (int i = 0; rank == 1 && step == 15 && i < 500; ++i) {
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

TEST(Control, ComparesWhatRanksWereDoing) {
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
              "\nthe calls part at call 3: ranks 0, 1 all_reduce gradients, 400 bytes of f32, step "
              "7; rank 2 all_gather updates, 64 bytes of i32, step 7\n"});
  EXPECT_EQ(std::count(ends[1].begin(), ends[1].end(), '\n'), 0) << ends[1];
}

TEST(Control, NamesARankAtAnotherStep) {
  const auto ends =
      run(2, kPatient, [](int rank, Control& control) { control.exchange({.step = 5 + rank}); });
  expect_all(ends, {"rank 1 (", ") is at step 6, rank 0 at step 5"});
}

TEST(Control, PassesOnWhyARankEndsTheRun) {
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

TEST(Control, NamesARankThatHasEndedEarly) {
  const auto ends = run(3, kShort, [](int rank, Control& control) {
    if (rank != 1) control.exchange({.step = 0});
  });
  EXPECT_EQ(ends[1], "");
  expect_all({ends[0], ends[2]}, {"rank 1 (", ") has ended: rank "});
}

TEST(Control, PassesOverStrangers) {
  MeetingPlace all = new_place();
  const int port = all.ports.front();
  std::thread first([&, place = place_for(0, all)]() mutable {
    Control control({.rank = 0, .size = 2}, std::move(place), kPatient);
    EXPECT_EQ(control.exchange({.step = 0, .images = 1}).images, 3);
  });
  std::vector<Socket> strangers;
  for (const Message& message : {Message{say::kHello, {"other", "1", "h", "1"}},
                                 Message{say::kHello, {"token", "2", "h", "1"}},
                                 Message{say::kHello, {}}, Message{say::kTicket, {"1"}}}) {
    strangers.push_back(connect_to("127.0.0.1", port, Seconds(5)));
    EXPECT_TRUE(send_message(strangers.back(), message, Seconds(1)));
  }
  strangers.push_back(connect_to("127.0.0.1", port, Seconds(5)));
  EXPECT_EQ(send(strangers.back().file(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 18);
  {
    Control control({.rank = 1, .size = 2}, place_for(1, all), kPatient);
    EXPECT_EQ(control.exchange({.step = 0, .images = 2}).images, 3);
  }
  first.join();
}

// At five moments. The rank that is cut off ends itself; rank 0 names it, and the others end.
TEST(Control, EndsAllRanksWhenTheCableOfOneIsCut) {
  Limits limits = kPatient;
  limits.silence = Seconds(0.5);
  for (const int moment : {3, 11, 26, 47, 85}) {
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
    EXPECT_NE(ends[0].find("has not been heard of for 0.5 s at step "), std::string::npos);
    EXPECT_EQ(ends[0], ends[1]);
    EXPECT_NE(ends[2].find("rank 0 ("), std::string::npos) << ends[2];
    EXPECT_NE(ends[2].find("has not been heard of for 0.5 s"), std::string::npos) << ends[2];
  }
}

// Of the ports that the ranks of a start look at, others have all but one; then all.
TEST(Wire, TakesTheOnePortOfSixteenThatIsLeft) {
  const std::vector<int> ports = ports_of(message("a test of process ", getpid()));
  ASSERT_EQ(ports.size(), 16U);
  std::vector<Socket> others;
  for (const int port : ports) {
    if (port == ports[11]) continue;
    try {
      others.push_back(listen_at({port}));
    } catch (const Error&) {  // another program has it, which is as well
    }
  }
  Socket ours = listen_at(ports);
  EXPECT_EQ(port_of(ours), ports[11]);
  const std::string why = error_of([&] { listen_at(ports); });
  EXPECT_NE(why.find(message("rank 0 cannot listen for the others at any of the ports ", ports[0],
                             " to ", ports[15], ": Address already in use")),
            std::string::npos)
      << why;
}

TEST(Wire, TakesThePortThatIsFree) {
  const Socket first = listen_at({0});
  const int taken = port_of(first);
  const std::string why = error_of([&] { listen_at({taken}); });
  EXPECT_NE(why.find("cannot listen for the others at port " + std::to_string(taken) +
                     ": Address already in use"),
            std::string::npos)
      << why;
  EXPECT_NE(port_of(listen_at({taken, 0})), taken);
}

}  // namespace
}  // namespace invp::testing
