#include "engine/core/cpu_share.h"

#include <gtest/gtest.h>

#include <fstream>

#include "engine/core/parallel.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

namespace fs = std::filesystem;

class CpuQuota : public ::testing::Test {
 protected:
  void write(const std::string& name, const std::string& text) const {
    const fs::path file = folder_.path() / name;
    fs::create_directories(file.parent_path());
    std::ofstream(file) << text;
  }
  /// With `membership` as /proc/self/cgroup.
  std::optional<double> quota(const std::string& membership) const {
    write("membership", membership);
    return cpu_quota(folder_.path() / "membership", folder_.path() / "mounts");
  }

  TempFolder folder_;
};

TEST_F(CpuQuota, OfVersion2IsTheTightestOfTheGroupAndThoseAbove) {
  write("mounts/a/b/cpu.max", "max 100000\n");
  write("mounts/a/cpu.max", "250000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 2.5);
  write("mounts/a/b/cpu.max", "50000 100000\n");
  EXPECT_EQ(quota("0::/a/b\n"), 0.5);
  EXPECT_EQ(quota("0::/a\n"), 2.5);
}

TEST_F(CpuQuota, InAContainerIsThatOfTheMount) {
  write("mounts/cpu.max", "150000 50000\n");
  EXPECT_EQ(quota("0::/\n"), 3);
  EXPECT_EQ(quota("0::/seen/from/outside\n"), 3);
}

TEST_F(CpuQuota, OfVersion1) {
  write("mounts/cpu,cpuacct/job/cpu.cfs_quota_us", "400000\n");
  write("mounts/cpu,cpuacct/job/cpu.cfs_period_us", "100000\n");
  write("mounts/cpu,cpuacct/cpu.cfs_quota_us", "-1\n");
  write("mounts/cpu,cpuacct/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(quota("3:cpuset:/x\n4:cpu,cpuacct:/job\n1:name=systemd:/\n"), 4);
}

TEST_F(CpuQuota, WithoutOneThereIsNone) {
  EXPECT_EQ(quota(""), std::nullopt);
  EXPECT_EQ(quota("0::/a\nnonsense\n"), std::nullopt);
  write("mounts/a/cpu.max", "0 0\n");
  EXPECT_EQ(quota("0::/a\n"), std::nullopt);
}

TEST(UsableCores, AreWhatTheAffinityAllows) {
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  EXPECT_LE(usable_cores(), CPU_COUNT(&before));
  cpu_set_t one;
  CPU_ZERO(&one);
  for (int cpu = 0; CPU_COUNT(&one) == 0; ++cpu)
    if (CPU_ISSET(cpu, &before)) CPU_SET(cpu, &one);
  ASSERT_EQ(sched_setaffinity(0, sizeof one, &one), 0);
  EXPECT_EQ(usable_cores(), 1);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
}

}  // namespace
}  // namespace invp::testing
