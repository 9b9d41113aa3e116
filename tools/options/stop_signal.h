// Signals that ask a long run to write a checkpoint and end: SIGINT and SIGTERM, SIGHUP of a
// terminal that closes (unless nohup has it ignored), SIGXCPU and SIGXFSZ of limits that are
// reached. Another one a second or more later ends the process at once. An earlier one belongs to
// the same request: timeout(1) and job schedulers signal the process, then its group. SIGPIPE is
// ignored meanwhile: a run whose progress nobody reads any more goes on.
#pragma once

namespace invp::cli {

/// While one lives, these signals are noted. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// The first signal that came; 0 if none did.
  static int received();
};

}  // namespace invp::cli
