// Ranks on CPUs, joined by MPI. Whoever uses this includes nothing of MPI's.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "engine/comm/communicator.h"
#include "engine/comm/watch.h"

namespace invp {

/// "Open MPI 4.1.4", "MPICH 4.0.2": what the program runs with. Empty in a build without MPI.
/// Starts nothing.
std::string mpi_library();

/// How to get what a build without MPI lacks, for the end of a message.
inline constexpr const char* kHowToGetMpi =
    "install libopenmpi-dev and openmpi-bin (scripts/dependencies does) and build again";

/// Starts MPI, unless it runs: takes 0.1 to 0.5 s, waits for the other ranks, and only works once
/// a launcher (mpirun, srun) has started this process. From then on only the calling thread may
/// use communicators. Throws Error in a build without MPI.
Ranks start_mpi();

/// For how long calls that MPI gives no deadline may wait for other ranks (120 s): its start, a
/// split. Then one rank says so and the process ends.
void limit_mpi(Seconds longest);

/// All ranks, after start_mpi(). Sums go in slices whose blocks are exchanged, added in a tree and
/// gathered, so that kFixed has the same bits whatever the library; kFast is the same thing.
/// `slice` is in bytes, and for tests. The last communicator to go lets MPI end with the process,
/// unless an exception other than an agreed stop is on its way: then the launcher ends the others.
/// A call that has failed leaves the ranks in no common state: all later ones throw.
std::shared_ptr<Communicator> join_mpi(std::shared_ptr<Watch> watch,
                                       std::int64_t slice = std::int64_t{1} << 20);

/// MPI_Allreduce of f32, to measure against. Has no deadline.
void library_all_reduce(const Tensor& x);

}  // namespace invp
