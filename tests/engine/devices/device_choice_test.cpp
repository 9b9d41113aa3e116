// Choosing a device on machines described.
#include "engine/devices/device_choice.h"

#include <gmock/gmock.h>

#include "engine/core/error.h"
#include "engine/devices/cuda_info.h"

namespace invp {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr std::int64_t kGigabyte = 1'000'000'000;
const GpuInfo kHopper{
    .name = "NVIDIA H100", .memory_bytes = 85 * kGigabyte, .compute_major = 9, .compute_minor = 0};
const GpuInfo kTuring{
    .name = "NVIDIA T4", .memory_bytes = 16 * kGigabyte, .compute_major = 7, .compute_minor = 5};

CudaInfo machine(std::vector<GpuInfo> gpus) {
  return {.built = true, .driver = 13000, .runtime = 13000, .gpus = std::move(gpus)};
}

Device gpu(int index) {
  return {DeviceType::kCuda, index};
}

struct Case {
  std::string name;
  CudaInfo cuda;
  std::vector<std::string> words;  ///< what the error for "cuda" and the reason for "auto" say
};

std::vector<Case> machines_without() {
  CudaInfo old_driver = machine({kHopper});
  old_driver.driver = 12040;
  CudaInfo no_driver = machine({});
  no_driver.driver = 0;
  no_driver.problem = "CUDA driver version is insufficient for CUDA runtime version";
  CudaInfo broken = machine({});
  broken.problem = "unknown error";
  GpuInfo full = kHopper;
  full.problem = "out of memory";
  return {{"not built", CudaInfo{}, {"built without CUDA", "cmake --preset cuda"}},
          {"no driver", no_driver, {"no NVIDIA driver is installed"}},
          {"old driver",
           old_driver,
           {"knows CUDA 12.4", "built with 13.0", "install a driver", "580 or newer"}},
          {"runtime fails", broken, {"NVIDIA's runtime says: unknown error"}},
          {"no GPU", machine({}), {"there is no NVIDIA GPU here"}},
          {"old GPU", machine({kTuring}), {"NVIDIA T4", "compute capability 7.5", "8.0"}},
          {"GPU fails", machine({full}), {"NVIDIA H100", "out of memory"}}};
}

TEST(ChooseDevice, WithoutAUsableGpuSaysWhyAndTheWayOut) {
  for (const Case& c : machines_without()) {
    SCOPED_TRACE(c.name);
    const DeviceChoice automatic = choose_device("auto", c.cuda);
    EXPECT_EQ(automatic.device, kCpu);
    EXPECT_EQ(choose_device("cpu", c.cuda).device, kCpu);
    for (const std::string& words : c.words) {
      EXPECT_THAT(automatic.reason, HasSubstr(words));
      EXPECT_THAT([&] { choose_device("cuda", c.cuda); },
                  ThrowsMessage<Error>(AllOf(HasSubstr("--device cuda: "), HasSubstr(words),
                                             HasSubstr("--device cpu runs without"))));
    }
  }
}

TEST(ChooseDevice, TakesTheGpu) {
  const CudaInfo cuda = machine({kHopper});
  for (const char* wanted : {"auto", "cuda", "cuda:0"}) {
    EXPECT_EQ(choose_device(wanted, cuda).device, gpu(0)) << wanted;
    EXPECT_THAT(choose_device(wanted, cuda).reason, HasSubstr("NVIDIA H100, 85.00 GB"));
  }
  EXPECT_THAT(choose_device("cuda", cuda).reason, HasSubstr("asked for"));
  EXPECT_EQ(choose_device("cpu", cuda).device, kCpu);
}

TEST(ChooseDevice, TakesTheGpuAskedFor) {
  const CudaInfo cuda = machine({kHopper, kHopper});
  EXPECT_EQ(choose_device("auto", cuda).device, gpu(0));
  EXPECT_EQ(choose_device("cuda", cuda).device, gpu(0));
  EXPECT_EQ(choose_device("cuda:1", cuda).device, gpu(1));
  EXPECT_THAT([&] { choose_device("cuda:7", cuda); },
              ThrowsMessage<Error>("--device cuda:7: there are 2 GPUs, counted from 0"));
  EXPECT_THAT([&] { choose_device("cuda:1", machine({kHopper})); },
              ThrowsMessage<Error>("--device cuda:1: there is 1 GPU, counted from 0"));
}

TEST(ChooseDevice, PassesOverAGpuThatIsTooOld) {
  const CudaInfo cuda = machine({kTuring, kHopper});
  EXPECT_EQ(choose_device("auto", cuda).device, gpu(1));
  EXPECT_EQ(choose_device("cuda:1", cuda).device, gpu(1));
  EXPECT_THAT([&] { choose_device("cuda:0", cuda); },
              ThrowsMessage<Error>(HasSubstr("NVIDIA T4 has compute capability 7.5")));
}

TEST(ChooseDevice, AnOlderDriverOfTheSameCudaWillDo) {
  CudaInfo cuda = machine({kHopper});
  cuda.runtime = 13020;
  EXPECT_EQ(choose_device("cuda", cuda).device, gpu(0));
}

TEST(ChooseDevice, AnEmulatedGpuIsTakenOnlyWhenAskedFor) {
  CudaInfo cuda = machine({kHopper});
  cuda.emulated = true;
  EXPECT_EQ(choose_device("auto", cuda).device, kCpu);
  EXPECT_THAT(choose_device("auto", cuda).reason, HasSubstr("emulated"));
  EXPECT_EQ(choose_device("cuda", cuda).device, gpu(0));
}

TEST(ChooseDevice, RefusesOtherWords) {
  for (const std::string wanted :
       {"cuda:x", "cuda:", "cuda:-1", "cuda:1x", "cuda:99999999999", "cuda1", "CUDA", "gpu", ""}) {
    EXPECT_THAT(
        [&] { choose_device(wanted, machine({kHopper})); },
        ThrowsMessage<Error>("unknown device '" + wanted + "': use cpu, cuda, cuda:N or auto"));
  }
}

}  // namespace
}  // namespace invp
