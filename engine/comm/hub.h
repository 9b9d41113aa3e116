// The middle of the star: a thread of rank 0 that all ranks, rank 0 too, are connected to. It puts
// together what they say, and notices which of them is gone, silent or late.
#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <thread>

#include "engine/comm/limits.h"
#include "engine/comm/wire.h"

namespace invp {

/// What messages are about, with their fields.
namespace say {
inline constexpr char kHello = 'h';    ///< rank: token, rank, host, pid
inline constexpr char kWelcome = 'w';  ///< hub: the host and the pid of each rank
inline constexpr char kFacts = 'f';    ///< rank: names and values in turn
inline constexpr char kAgreed = 'a';   ///< hub
inline constexpr char kRefused = 'r';  ///< hub: why
inline constexpr char kShare = 's';    ///< rank and hub: what rank 0 says
inline constexpr char kTicket = 't';   ///< rank and hub: step, images, bad, plain, stop, save, and
                                       ///< the seconds waited for data; answered: a note
inline constexpr char kBeat = 'b';     ///< rank: step, calls, in call, slow, progress, what; hub
inline constexpr char kLate =
    'l';  ///< rank: the call that others do not come to, how long it waited in words and in seconds
inline constexpr char kPatience = 'p';  ///< hub: wait on, somebody is at something that takes long
inline constexpr char kFailed = 'x';    ///< rank: why, exit code
inline constexpr char kLost = 'e';      ///< hub: why the run is at its end, exit code, whether
                                        ///< ranks are to tell their last calls
inline constexpr char kCalls =
    'c';  ///< rank: its last calls (last_calls.h); hub, to rank 0: those of all, as lines
inline constexpr char kBye = 'q';  ///< rank
}  // namespace say

class Hub {
 public:
  /// `token` tells the ranks of this run from whoever else may call.
  Hub(Socket listening, int ranks, std::string token, const Limits& limits);
  /// Waits until all ranks have left; a run that is lost is not waited for.
  ~Hub();
  Hub(const Hub&) = delete;
  Hub& operator=(const Hub&) = delete;

 private:
  class Talk;
  std::unique_ptr<Talk> talk_;
  std::atomic<bool> closing_ = false;
  std::thread thread_;
};

}  // namespace invp
