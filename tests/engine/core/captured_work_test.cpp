#include "engine/core/captured_work.h"

#include <gmock/gmock.h>

#include "engine/ops/basic/elementwise.h"
#include "engine/ops/basic/reduce.h"
#include "tests/support/devices.h"
#include "tests/support/environment.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

class CapturedWorkTest : public DeviceTest {
 protected:
  static bool on_a_gpu() { return device() != kCpu; }
  /// How often the work is called in so many runs.
  static int expected_calls(int runs) {
    return on_a_gpu() ? std::min(runs, CapturedWork::kCalls + 1) : runs;
  }
};
RUN_ON_EACH_DEVICE(CapturedWorkTest);

TEST_P(CapturedWorkTest, IsReplayedWithWhatItsInputsHoldThen) {
  CapturedWork work(make_memory_pool(device()));
  const Tensor x = Tensor::zeros({1000}, DType::kF32, device());
  const Tensor y = Tensor::zeros({1000}, DType::kF32, device());
  int calls = 0;
  for (int run = 1; run <= 6; ++run) {
    x.copy_from(Tensor::full({1000}, static_cast<float>(run)));
    const bool replayed = work.run([&] {
      ++calls;
      y.copy_from(add(relu(x), x));  // a temporary lies in the pool
    });
    EXPECT_EQ(replayed, on_a_gpu() && run > CapturedWork::kCalls + 1);
    EXPECT_EQ(calls, expected_calls(run));
    EXPECT_EQ(values_of(y), Values(1000, 2 * run)) << "run " << run;
  }
  EXPECT_EQ(work.why_not_captured(), "");
}

TEST_P(CapturedWorkTest, LeavesAloneWhatOthersHoldBetweenItsRuns) {
  CapturedWork work(make_memory_pool(device()));
  const Tensor x = Tensor::full({4096}, 3, device());
  const Tensor y = Tensor::zeros({4096}, DType::kF32, device());
  std::vector<Tensor> others;
  for (int run = 0; run < 6; ++run) {
    work.run([&] { y.copy_from(add(relu(x), x)); });
    // As large as the work's temporaries, which are free now.
    others.push_back(Tensor::full({4096}, static_cast<float>(run), device()));
    others.push_back(Tensor::full({4096}, static_cast<float>(run), device()));
  }
  for (std::size_t i = 0; i < others.size(); ++i) {
    const std::size_t run = i / 2;
    EXPECT_EQ(values_of(others[i]), Values(4096, static_cast<double>(run))) << i;
  }
}

TEST_P(CapturedWorkTest, IsCalledEveryTimeAndSaysWhyWhereItCannotBeCaptured) {
  CapturedWork work(make_memory_pool(device()));
  const Tensor x = Tensor::full({8}, 3, device());
  int calls = 0;
  double last = 0;
  for (int run = 1; run <= 5; ++run) {
    EXPECT_FALSE(work.run([&] {
      ++calls;
      last = sum(x).item();  // waits for the device
    }));
    EXPECT_EQ(last, 24);
  }
  // Once more on a GPU: the capture that failed.
  EXPECT_EQ(calls, on_a_gpu() ? 6 : 5);
  EXPECT_THAT(work.why_not_captured(), HasSubstr(on_a_gpu() ? "capturing" : ""));
}

TEST_P(CapturedWorkTest, CanBeSwitchedOff) {
  const Variable off("INVP_CUDA_GRAPHS", "0");
  CapturedWork work(make_memory_pool(device()));
  int calls = 0;
  for (int run = 0; run < 5; ++run) work.run([&] { ++calls; });
  EXPECT_EQ(calls, 5);
  EXPECT_EQ(work.why_not_captured(), on_a_gpu() ? "INVP_CUDA_GRAPHS=0" : "");
}

TEST_P(CapturedWorkTest, ErrorsOfTheWorkAreItsOwn) {
  CapturedWork work(make_memory_pool(device()));
  for (int run = 0; run < 4; ++run) EXPECT_THROW(work.run([] { fail("broken"); }), Error);
}

TEST_P(CapturedWorkTest, APoolKeepsItsMemoryUntilItsLastTensorIsGone) {
  const std::int64_t before = memory_stats(device()).reserved;
  const std::int64_t live = memory_stats(device()).live;
  Tensor kept;
  {
    const auto pool = make_memory_pool(device());
    const MemoryPoolScope scope(pool);
    kept = Tensor::empty({1 << 20}, DType::kU8, device());
    EXPECT_EQ(memory_stats(device()).live, live + (1 << 20));
    EXPECT_GT(memory_stats(device()).reserved, before);
  }
  fill_bytes(kept.raw(), 1, kept.nbytes(), device());
  kept = {};
  EXPECT_EQ(memory_stats(device()).live, live);
  EXPECT_EQ(memory_stats(device()).reserved, before);
}

TEST_P(CapturedWorkTest, MarksAreReached) {
  DeviceMark first(device());
  DeviceMark second = std::move(first);
  second.wait();
}

}  // namespace
}  // namespace invp::testing
