// How MPI's own launcher is asked for ranks on this machine.
#pragma once

#include <string>
#include <vector>

namespace invp {

/// The command that starts `ranks` times the program and arguments to be added to it, for the MPI
/// that this build has: {"/usr/bin/mpirun", "-n", "4", ...}. With the cores left to the system: the
/// ranks of several runs would otherwise be bound to the same ones. Throws Error with the package
/// to install in a build without MPI and where `path`, the value of PATH, has no such program.
std::vector<std::string> mpi_command(int ranks, const std::string& path);

/// Variables that it wants: of Open MPI for root, who is not refused.
std::vector<std::string> mpi_variables();

}  // namespace invp
