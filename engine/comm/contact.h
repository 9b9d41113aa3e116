// A rank's end of the star: the thread that sends heartbeats and hears the hub.
#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "engine/comm/control.h"
#include "engine/comm/hub.h"
#include "engine/comm/peers.h"
#include "engine/comm/recorder.h"

namespace invp {

class Control::Contact {
 public:
  Contact(const Ranks& ranks, MeetingPlace place, const Limits& limits,
          std::filesystem::path folder);
  ~Contact();
  Contact(const Contact&) = delete;
  Contact& operator=(const Contact&) = delete;

  const Ranks& ranks() const { return ranks_; }
  const Limits& limits() const { return limits_; }
  Recorder& recorder() { return recorder_; }

  void send(const Message& message);
  /// What this rank is at. The next heartbeat tells.
  void at(const char* phase, std::int64_t step, bool slow);
  void moved_on() { ++progress_; }
  void moves_by(std::function<std::uint64_t()> count);
  std::int64_t step() const;

  /// The next message of this kind, or the other one. Throws RunLost. Past the deadline of a step
  /// it complains of the others, as late() does.
  Message await(char kind, char other, Seconds deadline, const std::string& what);
  /// Complains of ranks that do not come; returns if there is a reason to wait on.
  void late(const std::string& what, Seconds since);
  /// Throws RunLost if the run is lost.
  void check();

 private:
  void run();
  void hear();
  void beat();
  void hear_end(const Message& message);
  void say(const std::string& lines);
  void lose(const std::string& why, bool hub_is_there, int code = 1);
  void leave_record();
  [[noreturn]] void throw_lost();

  Ranks ranks_;
  Limits limits_;
  std::filesystem::path folder_;
  std::unique_ptr<Hub> hub_;  ///< of rank 0
  Socket socket_;
  Inbox inbox_;
  Recorder recorder_;
  std::atomic<std::uint64_t> progress_ = 0;
  std::function<std::uint64_t()> also_moves_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<Message> messages_;
  std::string phase_;
  std::int64_t step_ = 0;
  bool slow_ = false;
  std::string hub_name_ = "rank 0";
  std::optional<std::string> lost_;
  std::string calls_;  ///< of all ranks, once the run is lost
  /// Of rank 0: the end that it has heard of, while it waits for the others' calls.
  std::optional<Message> end_;
  std::chrono::steady_clock::time_point end_at_;
  bool speak_ = false;
  int code_ = 1;
  std::atomic<bool> is_lost_ = false;
  std::atomic<bool> leaving_ = false;
  std::shared_ptr<std::atomic<bool>> told_ = std::make_shared<std::atomic<bool>>(false);
  std::shared_ptr<Socket> error_;  ///< stderr as it was, whatever becomes of it
  std::mutex sending_;
  std::chrono::steady_clock::time_point heard_;
  std::thread thread_;
};

}  // namespace invp
