// The star between ranks: tickets, agreement, meeting. Its ranks are threads here; with processes:
// failures_test.cpp.
#include "engine/comm/control.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <thread>

#include "engine/comm/hub.h"
#include "engine/core/stop.h"
#include "tests/ranks/star.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

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
      // Rank 1 waits for its images at first, then rank 2 computes for longer.
      const int slow = step <= 101 ? 1 : 2;
      if (rank == slow) std::this_thread::sleep_for(std::chrono::milliseconds(3));
      const double data = rank == slow && slow == 1 ? 0.003 : 0;
      const std::string note = control.exchange({.step = step, .data_wait = data}).note;
      if (!note.empty()) notes.push_back(note);
    }
    ASSERT_EQ(notes.size(), 2U);
    EXPECT_EQ(notes[0].find("rank 1 ("), 0U) << notes[0];
    EXPECT_NE(notes[0].find(") keeps the others waiting "), std::string::npos) << notes[0];
    EXPECT_TRUE(notes[0].ends_with(" % of the time (data)")) << notes[0];
    EXPECT_EQ(notes[1].find("rank 2 ("), 0U) << notes[1];
    EXPECT_TRUE(notes[1].ends_with(" % of the time (computing)")) << notes[1];
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

TEST(Wire, SaysThatAllPortsAreTaken) {
  const std::vector<int> ports = ports_of(message("a test of process ", getpid()));
  std::vector<Socket> others;
  for (const int port : ports) {
    try {
      others.push_back(listen_at({port}));
    } catch (const Error&) {  // somebody has it, which is as well
    }
  }
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
