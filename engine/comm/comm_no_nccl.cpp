// Builds without NCCL.
#include "engine/comm/comm_nccl.h"
#include "engine/core/error.h"

namespace invp {

namespace {

[[noreturn]] void refuse() {
  fail("this build has no NCCL, which joins ranks on GPUs: ", kHowToGetNccl);
}

}  // namespace

std::string nccl_library() {
  return {};
}
std::string nccl_headers() {
  return {};
}
std::string new_nccl_id() {
  refuse();
}
std::shared_ptr<Communicator> join_nccl(const Ranks& /*ranks*/, const std::string& /*id*/,
                                        Device /*device*/, std::shared_ptr<Watch> /*watch*/) {
  refuse();
}

}  // namespace invp
