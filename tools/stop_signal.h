// SIGINT and SIGTERM ask a long run to write a checkpoint and end; asked twice, the process ends at
// once.
#pragma once

namespace invp {

/// While one lives, the first SIGINT or SIGTERM is only noted. One at a time.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  /// The signal that came; 0 if none did.
  static int received();
};

}  // namespace invp
