// Ranks on GPUs, one each, joined by NCCL. Whoever uses this includes nothing of NVIDIA's.
#pragma once

#include <memory>
#include <string>

#include "engine/comm/communicator.h"
#include "engine/comm/watch.h"

namespace invp {

/// "NCCL 2.28.9": what the program runs with. Empty in a build without.
std::string nccl_library();
/// "2.28.9": what it was built with.
std::string nccl_headers();

/// How to get what a build lacks, for the end of a message.
inline constexpr const char* kHowToGetNccl =
    "install libnccl-dev (scripts/dependencies fetches it) and build the preset cuda again";

/// What the ranks of a new communicator share, in letters and digits: made by one rank, told to the
/// others. Throws Error in a build without NCCL.
std::string new_nccl_id();

/// All ranks of `id`, each with its own GPU, which becomes this thread's. Only this thread may use
/// the communicator, and while there is one its waits for the device look after the other ranks
/// (engine/core/device_wait.h). Sums of kFixed are exchanged in blocks and added in a tree on the
/// GPU, so they do not depend on NCCL; those of integers in any case. Tensors may lie on the host:
/// they are copied to the GPU and back, and the call is done on return.
/// A call that fails, or whose wait is ended, aborts all communicators of this process: all later
/// calls throw. Throws Error where NCCL refuses.
std::shared_ptr<Communicator> join_nccl(const Ranks& ranks, const std::string& id, Device device,
                                        std::shared_ptr<Watch> watch);

}  // namespace invp
