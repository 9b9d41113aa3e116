// This program as a parent of ranks on this machine.
#pragma once

namespace invp::cli {

/// Whether this process is a rank that run_as_ranks() started.
bool started_by_us();

/// Starts this program with its own arguments as `ranks` ranks, by MPI's launcher, and waits for
/// them. Returns the exit code of the run: 0, 1, 2, or 128 + the signal by which it was stopped.
/// A stop of this process is passed on as SIGUSR1: launchers of MPI kill the ranks soon after a
/// SIGTERM of their own. When this process is killed, the launcher ends the ranks.
/// Throws UsageError where there is no MPI.
int run_as_ranks(int ranks);

/// The same for ranks on GPUs, one each: starts them itself. Ranks that are left once one has
/// failed are killed after ten seconds.
int run_as_gpu_ranks(int ranks);

}  // namespace invp::cli
