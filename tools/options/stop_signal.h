// Signals that ask the program to end: SIGINT and SIGTERM, SIGHUP of a terminal that closes (unless
// nohup has it ignored), SIGXCPU of a limit on CPU time that is reached, and SIGUSR1, which MPI's
// launchers pass on without killing anybody. They set the token of
// engine/core/stop.h. Another one a second or more later ends the process at once. An earlier one
// belongs to the same request: timeout(1) and job schedulers signal the process, then its group. So
// does every later SIGXCPU, which the system sends each second until the hard limit.
//
// SIGPIPE and SIGXFSZ are ignored: the write that caused them fails, and says so.
#pragma once

#include <semaphore.h>

#include <thread>

namespace invp::cli {

/// While one lives, these signals are noted. One at a time.
///
/// A read that never returns (a dead disk, a dead server) keeps its thread, and what joins that
/// thread, from ending. So a few seconds after a stop was asked for, and once there is no unsaved
/// work, a watcher ends the process with 128 + signal.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

 private:
  void watch();

  std::thread watcher_;
};

}  // namespace invp::cli
