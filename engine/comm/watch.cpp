#include "engine/comm/watch.h"

#include <unistd.h>

#include "engine/comm/host.h"
#include "engine/core/error.h"
#include "engine/core/text.h"

namespace invp {

namespace {

class DeadlineWatch final : public Watch {
 public:
  DeadlineWatch(Ranks ranks, Seconds deadline) : ranks_(ranks), deadline_(deadline) {}
  void entered(const CollectiveCall& /*call*/) override {}
  void left(const CollectiveCall& /*call*/) override {}
  void waiting(const CollectiveCall& call, Seconds since) override {
    CHECK(since < deadline_, "rank ", ranks_.rank, " of ", ranks_.size, " (", host_name(), ", pid ",
          getpid(), ") waited ", format_duration(since.count()), " for the others in ",
          call.operation, " ", call.name);
  }

 private:
  Ranks ranks_;
  Seconds deadline_;
};

}  // namespace

std::shared_ptr<Watch> deadline_watch(Ranks ranks, Seconds deadline) {
  return std::make_shared<DeadlineWatch>(ranks, deadline);
}

}  // namespace invp
