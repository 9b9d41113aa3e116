// The star between ranks that are threads of this process.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "engine/comm/control.h"
#include "engine/core/stop.h"

namespace invp::testing {

constexpr Limits kShort{.rendezvous = Seconds(20),
                        .step = Seconds(1),
                        .slow = Seconds(5),
                        .silence = Seconds(5),
                        .beat = Seconds(0.05),
                        .end = Seconds(0)};
/// Nothing here is waited for so long.
constexpr Limits kPatient{.beat = Seconds(0.05), .end = Seconds(0)};

inline MeetingPlace place_for(int rank, MeetingPlace& all) {
  MeetingPlace place{.hosts = all.hosts, .ports = all.ports, .token = all.token};
  if (rank == 0) place.listening = std::move(all.listening);
  return place;
}

using Body = std::function<void(int rank, Control&)>;

inline MeetingPlace new_place() {
  MeetingPlace place{.hosts = {"127.0.0.1"}, .token = "token", .listening = listen_at({0})};
  place.ports = {port_of(place.listening)};
  return place;
}

/// What ended each rank, and below it what rank 0 is to print of all; empty where nothing did.
/// Ranks of `absent` never come.
inline std::vector<std::string> run(int ranks, const Limits& limits, const Body& body,
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

inline void expect_all(const std::vector<std::string>& ends,
                       const std::vector<const char*>& parts) {
  for (std::size_t rank = 0; rank < ends.size(); ++rank)
    for (const char* const part : parts)
      EXPECT_NE(ends[rank].find(part), std::string::npos) << rank << ": " << ends[rank];
}

}  // namespace invp::testing
