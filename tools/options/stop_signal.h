// SIGINT and SIGTERM ask a long run to write a checkpoint and end. Another signal a second or more
// later ends the process at once. An earlier one belongs to the same request: timeout(1) and job
// schedulers signal the process, then its group.
#pragma once

namespace invp::cli {

/// While one lives, SIGINT and SIGTERM are noted. One at a time.
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
