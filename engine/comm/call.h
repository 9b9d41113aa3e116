// What the communicators of all libraries do around a call.
#pragma once

#include <cstdint>
#include <exception>

#include "engine/comm/watch.h"

namespace invp {

/// One collective call, seen by the watch: entered at once, left at the end unless an exception
/// ends it.
class WatchedCall {
 public:
  WatchedCall(Watch& watch, const CollectiveCall& what) : watch_(watch), what_(what) {
    watch_.entered(what_);
  }
  WatchedCall(Watch& watch, const char* operation, const char* name, const Tensor& x)
      : WatchedCall(watch, {operation, name, static_cast<std::int64_t>(x.nbytes()), x.dtype()}) {}
  ~WatchedCall() {
    if (!ended_early()) watch_.left(what_);
  }
  WatchedCall(const WatchedCall&) = delete;
  WatchedCall& operator=(const WatchedCall&) = delete;

  const CollectiveCall& what() const { return what_; }

 protected:
  bool ended_early() const { return std::uncaught_exceptions() > exceptions_; }

 private:
  Watch& watch_;
  CollectiveCall what_;
  int exceptions_ = std::uncaught_exceptions();
};

/// Throws Error unless `out` can take `numel` values of what `in` holds. `ranks`: how many.
void check_rows(const char* name, std::int64_t numel, const Tensor& in, const Tensor& out,
                int ranks);

}  // namespace invp
