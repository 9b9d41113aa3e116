// How long OpenMP's threads spin before they sleep.
#pragma once

namespace invp::cli {

/// Lets threads that wait for others spin for some microseconds and then sleep; by default
/// libgomp's spin for milliseconds and libomp's for 200 ms, which on a busy machine takes the cores
/// from the threads that they wait for. OpenMP reads this from the environment before main begins,
/// so the program starts itself again, with the same `arguments` (as main has them). Does nothing
/// if OMP_WAIT_POLICY, GOMP_SPINCOUNT or KMP_BLOCKTIME is set: somebody has decided.
void limit_spinning(char** arguments);

}  // namespace invp::cli
