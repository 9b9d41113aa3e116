#include "engine/core/cpu_share.h"

#include <sched.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>

namespace invp {

namespace fs = std::filesystem;

namespace {

/// Calls visit(folder) for a group and each group above it, up to where they are mounted. A
/// container may see its path from outside, which is not below its own mount: the mount is visited
/// all the same.
template <class Visit>
void for_each_group(const fs::path& mount, const std::string& group, const Visit& visit) {
  for (fs::path inner = fs::path(group).relative_path(); !inner.empty();
       inner = inner.parent_path()) {
    visit(mount / inner);
  }
  visit(mount);
}

/// "200000 100000" or "max 100000": microseconds allowed, and of how many.
std::optional<double> quota_2(const fs::path& folder) {
  std::ifstream file(folder / "cpu.max");
  double allowed = 0;
  double period = 0;
  if (!(file >> allowed >> period) || allowed <= 0 || period <= 0) return std::nullopt;
  return allowed / period;
}

std::optional<double> quota_1(const fs::path& folder) {
  double allowed = 0;
  double period = 0;
  if (!(std::ifstream(folder / "cpu.cfs_quota_us") >> allowed) ||
      !(std::ifstream(folder / "cpu.cfs_period_us") >> period) || allowed <= 0 || period <= 0)
    return std::nullopt;
  return allowed / period;
}

/// Is "cpu" among these, as in "cpu,cpuacct"?
bool controls_cpu(const std::string& controllers) {
  return ("," + controllers + ",").find(",cpu,") != std::string::npos;
}

int cores_of_affinity() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return std::max(1, CPU_COUNT(&set));
}

}  // namespace

std::optional<double> cpu_quota(const fs::path& membership, const fs::path& mounts) {
  std::optional<double> tightest;
  const auto note = [&](std::optional<double> quota) {
    if (quota) tightest = std::min(tightest.value_or(*quota), *quota);
  };
  std::ifstream file(membership);
  // NUMBER:CONTROLLERS:PATH, without controllers in version 2.
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = line.find(':', first + 1);
    if (first == std::string::npos || second == std::string::npos) continue;
    const std::string controllers = line.substr(first + 1, second - first - 1);
    const std::string group = line.substr(second + 1);
    if (controllers.empty()) {
      // Beside version 1, version 2 is mounted below.
      for (const char* where : {"", "unified"})
        for_each_group(mounts / where, group, [&](const fs::path& at) { note(quota_2(at)); });
    } else if (controls_cpu(controllers)) {
      for_each_group(mounts / controllers, group, [&](const fs::path& at) { note(quota_1(at)); });
    }
  }
  return tightest;
}

int usable_cores() {
  static const std::optional<double> quota = cpu_quota("/proc/self/cgroup", "/sys/fs/cgroup");
  const int cores = cores_of_affinity();
  return quota ? std::clamp(static_cast<int>(std::ceil(*quota)), 1, cores) : cores;
}

}  // namespace invp
