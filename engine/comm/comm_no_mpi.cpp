// Builds without MPI.
#include "engine/comm/comm_mpi.h"
#include "engine/core/error.h"

namespace invp {

namespace {

[[noreturn]] void refuse() {
  fail("this build has no MPI: ", kHowToGetMpi);
}

}  // namespace

std::string mpi_library() {
  return {};
}
Ranks start_mpi() {
  refuse();
}
void limit_mpi(Seconds /*longest*/) {}
std::shared_ptr<Communicator> join_mpi(std::shared_ptr<Watch> /*watch*/, std::int64_t /*slice*/) {
  refuse();
}
void library_all_reduce(const Tensor& /*x*/) {
  refuse();
}

}  // namespace invp
