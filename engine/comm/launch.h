// Who started this process, and as which of how many ranks: told by the variables that launchers
// set.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "engine/comm/communicator.h"
#include "engine/core/error.h"

namespace invp {

/// The ranks cannot become one run: said before anything is done.
class Refused : public Error {
 public:
  using Error::Error;
};

/// The value of a variable; empty where it is not set.
using Environment = std::function<std::string(const char*)>;
std::string variable_of_process(const char* name);

enum class Starter : std::uint8_t {
  kNobody,    ///< one rank
  kOwn,       ///< --ranks, for ranks on GPUs
  kMpi,       ///< who is who is asked of MPI
  kTorchrun,  ///< and whoever else sets RANK and WORLD_SIZE
  kSrun,      ///< without PMIx
};

struct Launch {
  Starter starter = Starter::kNobody;
  Ranks ranks;     ///< of kMpi its rank and size as announced, until MPI has been asked
  std::string by;  ///< "mpirun (Open MPI 4.1.4)", "" for one rank
  // Of all but kMpi:
  std::string host;        ///< where rank 0 is
  std::string name;        ///< what the processes of this start share, and no others
  std::vector<int> ports;  ///< at one of which rank 0 listens
  int socket = -1;         ///< of kOwn: rank 0's, which listens
};

/// From variables alone. `mpi` is mpi_library(). Throws Refused with the command to use where
/// the launcher's processes would never find each other: srun without PMIx, a launcher of another
/// MPI.
Launch read_launch(const Environment& environment, const std::string& mpi);

/// Throws Refused unless MPI found as many ranks as the launcher started.
void check_size(const Launch& launch, int size, const std::string& mpi);

/// Of this process. Where a launcher of MPI started several ranks, MPI is started with them. Ranks
/// on GPUs need none. Throws Refused as above, and for several ranks that nothing can join.
Launch find_launch(bool on_gpus = false);
/// What a process started by --ranks on GPUs is told: "NAME=VALUE" for read_launch(). `socket` is
/// of rank 0, which inherits it.
std::vector<std::string> variables_of_rank(int rank, int size, int port, const std::string& token,
                                           int socket);
/// The rank that the launcher's variables name, whatever can be joined: rank 0 speaks for all.
int announced_rank(const Environment& environment);

/// The 16 ports at which rank 0 of a start with this name may be listening: others may have some.
std::vector<int> ports_of(const std::string& name);
/// "n3" of "n[3-5,7],m1": the first of a list as Slurm writes it.
std::string first_host(const std::string& list);

}  // namespace invp
