// How much of the machine's processors this process may use.
#pragma once

#include <filesystem>
#include <optional>

namespace invp {

/// Cores that this process may keep busy: those of its affinity (taskset, cpusets), fewer where a
/// quota of its control group (docker --cpus, a batch system) allows less. At least 1.
int usable_cores();

/// The CPU quota of a control group in cores, the tightest of the group and those above it; none
/// if nothing limits it. `membership` is /proc/self/cgroup, `mounts` where the control groups are
/// mounted, /sys/fs/cgroup; versions 1 and 2.
std::optional<double> cpu_quota(const std::filesystem::path& membership,
                                const std::filesystem::path& mounts);

}  // namespace invp
