// SIGINT and SIGTERM ask a long run to write a checkpoint and end; asked again a second or more
// later, the process ends at once. Within that second it is the same request: timeout(1) and job
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
