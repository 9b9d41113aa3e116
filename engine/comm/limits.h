// How long ranks wait for each other.
#pragma once

#include "engine/comm/watch.h"

namespace invp {

struct Limits {
  Seconds rendezvous{120};  ///< until all ranks have come
  Seconds step{300};        ///< until all ranks have come to the same call
  Seconds slow{600};        ///< until something that takes long moves on: an evaluation
  Seconds silence{30};      ///< without a heartbeat
  Seconds beat{1};          ///< between heartbeats
  /// A process that is lost ends after so long, whatever its main thread does. 0: it does not.
  Seconds end{3};
};

}  // namespace invp
