// A communicator of one GPU: what can be tried of NCCL on a machine with one.
#include <gtest/gtest.h>

#include "engine/comm/comm_nccl.h"
#include "engine/core/captured_work.h"
#include "engine/core/memory.h"
#include "engine/devices/gpu_report.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

constexpr Device kGpu{DeviceType::kCuda, 0};

/// Ends every wait of the device.
class Impatient final : public Watch {
 public:
  void entered(const CollectiveCall& /*call*/) override {}
  void left(const CollectiveCall& /*call*/) override {}
  void waiting(const CollectiveCall& call, Seconds /*since*/) override {
    CHECK(!ended, "enough of ", call.operation, ' ', call.name);
  }
  bool ended = false;
};

std::string why_no_gpu() {
  const CudaInfo cuda = cuda_info();
  if (const std::string why = obstacle(cuda); !why.empty()) return why;
  return nccl_library().empty() ? "this build has no NCCL" : "";
}

std::shared_ptr<Communicator> join(std::shared_ptr<Watch> watch) {
  return join_nccl({}, new_nccl_id(), kGpu, std::move(watch));
}

TEST(NcclOneGpu, SumsAndGathersInAGraph) {
  if (const std::string why = why_no_gpu(); !why.empty()) GTEST_SKIP() << why;
  const auto ranks = join(deadline_watch({}, Seconds(60)));
  const Tensor x = Tensor::empty({100'000}, DType::kF32, kGpu);
  const Tensor all = Tensor::empty({1, 100'000}, DType::kF32, kGpu);
  CapturedWork work(make_memory_pool(kGpu));
  for (int turn = 0; turn < 6; ++turn) {
    x.copy_from(Tensor::full({100'000}, static_cast<float>(turn)));
    const bool replayed = work.run([&] {
      ranks->all_reduce("fixed", x);
      ranks->all_reduce("fast", x, Reduction::kSum, SumOrder::kFast);
      ranks->all_gather("gather", x, all);
    });
    EXPECT_EQ(replayed, turn > CapturedWork::kCalls) << work.why_not_captured();
    ranks->wait(DeviceMark(kGpu));
    EXPECT_EQ(all.to(kCpu).data<float>()[99'999], static_cast<float>(turn));
  }
}

// The last test of its kind in a process: a communicator that was aborted leaves no others.
TEST(NcclOneGpu, ZIsAbortedDuringAReplay) {
  if (const std::string why = why_no_gpu(); !why.empty()) GTEST_SKIP() << why;
  if (cuda_info().emulated) GTEST_SKIP() << "an emulated GPU of one rank never waits";
  const auto watch = std::make_shared<Impatient>();
  const auto ranks = join(watch);
  const std::int64_t count = std::int64_t{1} << 26;
  const Tensor x = Tensor::zeros({count}, DType::kF32, kGpu);
  const Tensor all = Tensor::zeros({1, count}, DType::kF32, kGpu);
  CapturedWork work(make_memory_pool(kGpu));
  for (int turn = 0; turn < 500; ++turn) work.run([&] { ranks->all_gather("gather", x, all); });
  watch->ended = true;
  EXPECT_EQ(error_of([&] { ranks->wait(DeviceMark(kGpu)); }), "enough of wait for the device");
  synchronize(kGpu);  // ends
  EXPECT_NE(error_of([&] { ranks->all_gather("gather", x, all); }).find("has failed"),
            std::string::npos);
}

}  // namespace
}  // namespace invp::testing
