// Whether several ranks can be started here.
#pragma once

#include <cstdlib>
#include <exception>
#include <string>

#include "engine/comm/mpi_launcher.h"

namespace invp::testing {

/// Empty, or why tests with ranks cannot run here.
inline std::string why_no_ranks() {
  try {
    mpi_command(1, std::getenv("PATH"));
    return {};
  } catch (const std::exception& error) {
    return error.what();
  }
}

}  // namespace invp::testing
