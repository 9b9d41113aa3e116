// What is reported on machines that are described here.
#include "engine/devices/gpu_report.h"

#include <gmock/gmock.h>

#include "engine/core/numerics.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::Pair;

const GpuInfo kHopper{.name = "NVIDIA H100",
                      .memory_bytes = 85'000'000'000,
                      .compute_major = 9,
                      .free_bytes = 84'000'000'000};
const NvidiaHardware kWhole{.on_bus = true, .device_file = true, .driver = "580.95.05"};

CudaInfo machine(std::vector<GpuInfo> gpus) {
  return {.built = true, .driver = 13000, .runtime = 13000, .gpus = std::move(gpus)};
}

TEST(GpuReport, OfAMachineThatHasEverything) {
  GpuInfo old = kHopper;
  old.name = "NVIDIA V100";
  old.compute_major = 7;
  const GpuReport good = gpu_report(kWhole, machine({kHopper}));
  EXPECT_THAT(good.rows, ElementsAre(Pair("GPU 0",
                                          "NVIDIA H100, 85.00 GB, 84.00 GB free, compute "
                                          "capability 9.0: usable"),
                                     Pair("driver", "NVIDIA 580.95.05, for CUDA up to 13.0"),
                                     Pair("CUDA", "runtime 13.0")));
  EXPECT_THAT(good.missing, IsEmpty());

  const GpuReport mixed = gpu_report(kWhole, machine({kHopper, old}));
  EXPECT_THAT(mixed.rows, Contains(Pair("GPU 1", HasSubstr("7.0: not usable"))));
  EXPECT_THAT(mixed.missing, ElementsAre(AllOf(HasSubstr("GPU 1"), HasSubstr("8.0 is the least"))));
}

TEST(GpuReport, SaysWhatGoesWrongOnAGpuThatIsThere) {
  GpuInfo broken = kHopper;
  broken.free_bytes = -1;
  broken.problem = "uncorrectable ECC error encountered";
  const GpuReport report = gpu_report(kWhole, machine({broken}));
  EXPECT_THAT(report.rows,
              Contains(Pair("GPU 0", AllOf(HasSubstr("not usable"), Not(HasSubstr("free"))))));
  EXPECT_THAT(report.missing, ElementsAre(HasSubstr("uncorrectable ECC error encountered")));
}

struct Case {
  const char* name;
  NvidiaHardware hardware;
  CudaInfo cuda;
  std::vector<std::string> words;
};

std::vector<Case> machines_without() {
  CudaInfo none = machine({});
  none.driver = 0;
  none.problem = "no CUDA-capable device is detected";
  CudaInfo old_driver = machine({});
  old_driver.driver = 12020;
  old_driver.problem = "CUDA driver version is insufficient for CUDA runtime version";
  NvidiaHardware hidden = kWhole;
  hidden.visible = "";
  CudaInfo unseen = machine({});
  unseen.problem = none.problem;
  return {
      {"a CPU build without a GPU", {}, {}, {"no CUDA in this build", "the CPU does everything"}},
      {"a CPU build with a GPU", kWhole, {}, {"this build has no CUDA", "cmake --preset cuda"}},
      {"no GPU", {}, none, {"no NVIDIA GPU in sight"}},
      {"no driver", {.on_bus = true}, none, {"driver is not loaded", "580 or newer"}},
      {"a container",
       {.on_bus = true, .driver = "580.95.05"},
       none,
       {"580.95.05", "--gpus all", "Container Toolkit"}},
      {"an old driver", kWhole, old_driver, {"knows CUDA 12.2", "release 580 or newer"}},
      {"hidden GPUs", hidden, unseen, {"CUDA_VISIBLE_DEVICES is ''", "unset it"}},
      {"a GPU that does not answer", kWhole, unseen, {"no CUDA-capable device is detected"}}};
}

TEST(GpuReport, SaysWhatIsMissingAndTheWayOut) {
  for (const Case& c : machines_without()) {
    SCOPED_TRACE(c.name);
    const GpuReport report = gpu_report(c.hardware, c.cuda);
    ASSERT_EQ(report.missing.size(), 1u);
    for (const std::string& words : c.words) EXPECT_THAT(report.missing[0], HasSubstr(words));
  }
}

TEST(GpuReport, AnEmulatedGpuIsCalledOne) {
  CudaInfo cuda = machine({kHopper});
  cuda.emulated = true;
  const GpuReport report = gpu_report({}, cuda);
  EXPECT_THAT(report.rows, Contains(Pair("GPU 0", HasSubstr("emulated by the CPU"))));
  EXPECT_THAT(report.rows, Contains(Pair("CUDA", HasSubstr("emulated"))));
}

TEST(GpuReport, NamesTheSoftwareByWhatIsLoaded) {
  CudaInfo cuda = machine({kHopper});
  cuda.libraries = {{.name = "cuDNN", .built = "9.19.0", .loaded = "9.21.1", .use = ""}};
  EXPECT_EQ(describe_software(cuda), "CUDA 13.0, cuDNN 9.21.1");
}

TEST(GpuReport, DescribesThisMachineWhateverItIs) {
  CudaInfo cuda = cuda_info();
  try_gpus(cuda);
  const GpuReport report = gpu_report(nvidia_hardware(), cuda);
  EXPECT_EQ(report.rows.empty(), !cuda.built && nvidia_hardware().driver.empty());
  for (const GpuInfo& gpu : cuda.gpus) EXPECT_TRUE(gpu.free_bytes >= 0 || !gpu.problem.empty());
}

// Where NVIDIA's libraries look before their first use.
TEST(Numerics, StrictF32IsInTheEnvironmentBeforeTheLibraries) {
  const Numerics before = numerics();
  set_numerics({.allow_tf32 = false, .deterministic = true});
  EXPECT_TRUE(numerics().deterministic);
  EXPECT_FALSE(numerics().allow_tf32);
#ifdef INVP_CUDA
  ASSERT_NE(std::getenv("NVIDIA_TF32_OVERRIDE"), nullptr);
  EXPECT_STREQ(std::getenv("NVIDIA_TF32_OVERRIDE"), "0");
#endif
  set_numerics(before);
}

}  // namespace
}  // namespace invp
