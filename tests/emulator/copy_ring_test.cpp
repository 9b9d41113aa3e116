// The order between copies and readers: one stream is held back, the other goes on.
#include <gmock/gmock.h>

#include "engine/core/cuda_copy_ring.h"
#include "engine/core/upload_ring.h"
#include "tests/emulator/emulator.h"

namespace invp::testing {
namespace {

constexpr Device kGpu{DeviceType::kCuda, 0};

Tensor filled(float value) {
  return Tensor::full({5}, value);
}
std::vector<float> elements(const Tensor& x) {
  const Tensor host = x.to(kCpu);
  return {host.span<float>().begin(), host.span<float>().end()};
}
std::vector<float> five(float value) {
  return std::vector<float>(5, value);
}

/// Holds a stream of the GPU back until the end of the scope, or until the host waits.
class Held {
 public:
  explicit Held(cudaStream_t stream) : stream_(stream) { emulator::hold(stream, true); }
  ~Held() { emulator::hold(stream_, false); }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;

 private:
  cudaStream_t stream_;
};

class CopyRingTest : public ::testing::Test {
 protected:
  CopyRingTest() {
    for (int i = 0; i < 4; ++i) {  // the first of each slot goes the way of large batches
      ring_.begin(filled(-1));
      ring_.take();
    }
  }

  cuda::Context& gpu_ = cuda::context(kGpu);
  UploadRing ring_{kGpu};
};

TEST_F(CopyRingTest, AReaderWaitsForItsCopy) {
  const Held copies(gpu_.part<cuda::CopyStream>().stream());
  ring_.begin(filled(7));
  const Tensor taken = ring_.take();
  EXPECT_EQ(elements(taken), five(7));
}

TEST_F(CopyRingTest, ACopyWaitsForWhoReadTheBufferBefore) {
  ring_.begin(filled(7));
  const Tensor read = Tensor::full({5}, 0, kGpu);
  {
    const Held readers(gpu_.stream());
    read.copy_from(ring_.take());
    ring_.begin(filled(8));
    ring_.take();
    ring_.begin(filled(9));  // into the buffer that held 7
  }
  EXPECT_EQ(elements(read), five(7));
  EXPECT_EQ(elements(ring_.take()), five(9));
}

TEST_F(CopyRingTest, ACopyWaitsForNobodyElse) {
  ring_.begin(filled(7));
  const Tensor taken = ring_.take();
  const Held readers(gpu_.stream());
  ring_.begin(filled(8));  // beside what reads the 7
  cudaEvent_t copied = nullptr;
  cudaEventCreateWithFlags(&copied, cudaEventDisableTiming);
  cudaEventRecord(copied, gpu_.part<cuda::CopyStream>().stream());
  EXPECT_EQ(cudaEventQuery(copied), cudaSuccess);
  cudaEventDestroy(copied);
}

// The next batch is fetched by another thread while the step is captured.
TEST_F(CopyRingTest, CopiesAreNotCaptured) {
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(gpu_.stream(), cudaStreamCaptureModeRelaxed), cudaSuccess);
  ring_.begin(filled(7));
  ASSERT_EQ(cudaStreamEndCapture(gpu_.stream(), &graph), cudaSuccess);
  cudaGraphDestroy(graph);
  EXPECT_EQ(elements(ring_.take()), five(7));
}

}  // namespace
}  // namespace invp::testing
