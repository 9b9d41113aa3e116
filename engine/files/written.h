// Whether this process gets on with what it writes.
#pragma once

#include <cstdint>

namespace invp {

/// Bytes that AtomicFile has given to the system so far, in all. From any thread.
std::uint64_t bytes_written();

}  // namespace invp
