#include "engine/comm/mpi_launcher.h"

#include <unistd.h>

#include <sstream>

#include "engine/comm/comm_mpi.h"
#include "engine/core/error.h"

namespace invp {

namespace {

struct Family {
  const char* name;
  std::vector<const char*> programs;  ///< the names under which Debian has both come first
  std::vector<const char*> options;
  const char* package;
};

const std::vector<Family>& families() {
  static const std::vector<Family> all = {
      {"Open MPI",
       {"mpirun.openmpi", "mpirun"},
       {"--quiet", "--bind-to", "none", "--oversubscribe"},
       "openmpi-bin"},
      {"MPICH", {"mpiexec.mpich", "mpiexec.hydra", "mpiexec"}, {}, "mpich"},
  };
  return all;
}

std::string find_program(const char* name, const std::string& path) {
  std::istringstream folders(path);
  for (std::string folder; std::getline(folders, folder, ':');) {
    std::string file = folder + "/" + name;
    if (!folder.empty() && access(file.c_str(), X_OK) == 0) return file;
  }
  return {};
}

}  // namespace

std::vector<std::string> mpi_command(int ranks, const std::string& path) {
  const std::string library = mpi_library();
  CHECK(!library.empty(), "this build has no MPI: ", kHowToGetMpi);
  for (const Family& family : families()) {
    if (!library.starts_with(family.name)) continue;
    for (const char* name : family.programs) {
      const std::string program = find_program(name, path);
      if (program.empty()) continue;
      std::vector<std::string> command = {program, "-n", std::to_string(ranks)};
      command.insert(command.end(), family.options.begin(), family.options.end());
      return command;
    }
    fail("PATH has no ", family.programs.back(), " of ", library, ": install ", family.package);
  }
  fail("how to start ranks of ", library, " is not known: start them with its own launcher");
}

std::vector<std::string> mpi_variables() {
  return {"OMPI_ALLOW_RUN_AS_ROOT=1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1"};
}

}  // namespace invp
