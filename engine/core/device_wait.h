// Who looks after the host while it waits for a GPU. What the GPU does may in turn wait for other
// processes: then somebody has to notice when these are gone.
#pragma once

#include <chrono>
#include <functional>

namespace invp {

/// Called every few milliseconds of a wait of the thread that sets it; what it throws ends the
/// wait. Other threads wait without. Empty, as at the start: the host only waits.
void watch_device_waits(std::function<void(std::chrono::duration<double> since)> look);

}  // namespace invp
