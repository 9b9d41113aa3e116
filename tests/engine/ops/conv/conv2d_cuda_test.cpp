// What conv2d_test.cpp does not reach on a GPU: kernels that run where those it calls do not.
#include <gmock/gmock.h>

#include "engine/autograd/node.h"
#include "engine/core/cuda_context.h"
#include "engine/core/numerics.h"
#include "engine/ops/conv/conv2d.h"
#include "engine/ops/conv/conv2d_plain_cuda.h"
#include "engine/ops/conv/conv2d_plans_cuda.h"
#include "tests/support/close.h"
#include "tests/support/devices.h"
#include "tests/support/environment.h"
#include "tests/support/temp_folder.h"

namespace invp::testing {
namespace {

using ::testing::HasSubstr;

class Conv2dCudaTest : public OpTest {
 protected:
  void SetUp() override {
    if (device() == kCpu) GTEST_SKIP() << "of the GPU only";
    OpTest::SetUp();
    cuda::enter(device(), "conv2d");
  }
};
RUN_ON_ALL_DEVICES(Conv2dCudaTest);

TEST_P(Conv2dCudaTest, FinishesAForwardPass) {
  for (const std::int64_t channels : {1, 7, 8, 24}) {
    const Shape shape{3, 5, 2, channels};
    const Values sums = random_values(1, shape.numel());
    const Values residuals = random_values(2, shape.numel());
    const Values biases = random_values(3, channels);
    const Tensor sum = constant(sums, shape);
    const Tensor b = tensor(biases, {channels}, device());
    for (const bool bias : {false, true}) {
      for (const bool add : {false, true}) {
        for (const bool relu : {false, true}) {
          SCOPED_TRACE(message(channels, " channels, bias ", bias, ", add ", add, ", relu ", relu));
          Values want = sums;
          for (std::size_t i = 0; i < want.size(); ++i) {
            if (bias) want[i] += biases[i % biases.size()];
            if (add) want[i] += residuals[i];
            if (relu) want[i] = std::max(0.0, want[i]);
          }
          // The second image of a batch may begin at an address that takes no wide access.
          const Tensor batch =
              constant(random_values(4, 4 * shape.numel() / 3), {4, 5, 2, channels});
          for (const Tensor& y : {Tensor::empty_like(sum), batch.slice(1, 4)}) {
            y.copy_from(constant(residuals, shape));
            cuda::finish_forward(sum, bias ? b : Tensor(), {.add = add, .relu = relu}, y);
            expect_close(y, want);
          }
          if (add) continue;
          const Tensor in_place = sum.clone();
          cuda::finish_forward(in_place, bias ? b : Tensor(), {.relu = relu}, in_place);
          expect_close(in_place, want);
        }
      }
    }
  }
}

struct Case {
  Shape x, w;
  Conv2dParams params;
};

// Shapes of the networks, too large for the oracle: one of the two sides is checked against it on
// small shapes, so either may judge the other.
TEST_P(Conv2dCudaTest, LibraryAndPlainKernelsAgree) {
#ifdef INVP_CUDA_EMULATED
  const std::vector<Case> cases = {
      {{2, 9, 7, 12}, {6, 3, 3, 12}, {.stride = 2, .padding = 1}},
      {{3, 6, 5, 8}, {16, 1, 1, 8}, {}},
      {{2, 14, 14, 3}, {16, 7, 7, 3}, {.stride = 2, .padding = 3}},
  };
#else
  const std::vector<Case> cases = {
      {{8, 56, 56, 64}, {64, 3, 3, 64}, {.padding = 1}},
      {{8, 56, 56, 64}, {256, 1, 1, 64}, {}},
      {{8, 28, 28, 256}, {128, 1, 1, 256}, {.stride = 2}},
      {{8, 28, 28, 128}, {128, 3, 3, 128}, {.stride = 2, .padding = 1}},
      {{4, 112, 112, 3}, {64, 7, 7, 3}, {.stride = 2, .padding = 3}},
      {{8, 7, 7, 512}, {512, 3, 3, 512}, {.padding = 1}},
  };
#endif
  for (const Case& c : cases) {
    SCOPED_TRACE(message(c.x, " ", c.w));
    const Conv2dShape s = conv2d_shape(c.x, c.w, c.params);
    const Shape out{s.N, s.P, s.Q, s.K};
    const Tensor x = constant(random_values(1, c.x.numel()), c.x);
    const Tensor w = constant(random_values(2, c.w.numel()), c.w);
    const Tensor dy = constant(random_values(3, out.numel()), out);
    const Tensor b = tensor(random_values(4, s.K), {s.K}, device());
    const std::int64_t window = s.R * s.S * s.C;

    const Tensor y = Tensor::empty_like(dy);
    const Tensor y_plain = Tensor::empty_like(dy);
    cuda::conv2d_forward(s, x, w, b, y, {.relu = true});
    cuda::plain_forward(s, x, w, b, y_plain, {.relu = true});
    expect_close(y, values_of(y_plain), window);

    const Tensor dx = Tensor::empty_like(x);
    const Tensor dx_plain = Tensor::empty_like(x);
    cuda::conv2d_backward_input(s, dy, w, dx);
    cuda::plain_backward_input(s, dy, w, dx_plain);
    expect_close(dx, values_of(dx_plain), window * s.K / s.C);

    const Tensor dw = Tensor::empty_like(w);
    const Tensor dw_plain = Tensor::empty_like(w);
    cuda::conv2d_backward_weight(s, dy, x, dw, {});
    cuda::plain_backward_weight(s, dy, x, dw_plain);
    expect_close(dw, values_of(dw_plain), s.N * s.P * s.Q);
  }
}

TEST_P(Conv2dCudaTest, MeasuresPlansOnceAMachine) {
  const TempFolder folder;
  const Variable file("INVP_PLAN_CACHE", (folder / "plans.json").string());
  const Variable measuring("INVP_AUTOTUNE", "1");
  const Conv2dShape s = conv2d_shape({2, 8, 8, 16}, {24, 3, 3, 16}, {.padding = 1});
  const Tensor x = constant(random_values(1, 2 * 8 * 8 * 16), {2, 8, 8, 16});
  const Tensor w = constant(random_values(2, 24 * 3 * 3 * 16), {24, 3, 3, 16});
  const Tensor y = constant(random_values(3, 2 * 8 * 8 * 24), {2, 8, 8, 24});
  const std::vector<Tensor> before = {x.clone(), w.clone(), y.clone()};
  for (const auto pass : {cuda::ConvolutionPass::kForward, cuda::ConvolutionPass::kBackwardInput,
                          cuda::ConvolutionPass::kBackwardWeight}) {
    const cuda::ConvolutionProblem problem{.pass = pass, .shape = s, .dtype = dtype()};
    SCOPED_TRACE(name_of(problem));
    const Tensor images = x.clone(), filters = w.clone(), outputs = y.clone();
    const cuda::ConvolutionOperands operands{
        .images = images.raw(), .filters = filters.raw(), .outputs = outputs.raw()};
    cuda::ConvolutionPlans measuring_plans(cuda::context(device()));
    ASSERT_TRUE(measuring_plans.run(problem, operands));
    EXPECT_THAT(read_all(folder / "plans.json"), HasSubstr(name_of(problem)));

    // What is only read is as it was, and a plan found in the file computes the same.
    const Tensor& result = pass == cuda::ConvolutionPass::kForward         ? outputs
                           : pass == cuda::ConvolutionPass::kBackwardInput ? images
                                                                           : filters;
    const std::vector<Tensor> after = {images, filters, outputs};
    for (std::size_t i = 0; i < after.size(); ++i) {
      if (!after[i].same_as(result)) expect_identical(after[i], before[i]);
    }
    const Tensor first = result.clone();
    const std::string recorded = read_all(folder / "plans.json");
    result.zero();
    cuda::ConvolutionPlans later(cuda::context(device()));
    ASSERT_TRUE(later.run(problem, operands));
    expect_identical(result, first);
    EXPECT_EQ(read_all(folder / "plans.json"), recorded);
  }
}

TEST_P(Conv2dCudaTest, ARunPinsItsPlans) {
  const TempFolder folder;
  const Variable unmeasured("INVP_AUTOTUNE", "0");
  const Conv2dShape s = conv2d_shape({2, 4, 4, 16}, {16, 1, 1, 16}, {});
  const Tensor x = constant(random_values(1, 2 * 4 * 4 * 16), {2, 4, 4, 16});
  const Tensor w = constant(random_values(2, 16 * 16), {16, 1, 1, 16});
  const Tensor y = Tensor::empty_like(x);
  set_run_plan_file(folder / "plans.json");
  cuda::ConvolutionPlans plans(cuda::context(device()));
  set_run_plan_file({});
  const cuda::ConvolutionProblem problem{
      .pass = cuda::ConvolutionPass::kForward, .shape = s, .dtype = dtype()};
  ASSERT_TRUE(plans.run(problem, {.images = x.raw(), .filters = w.raw(), .outputs = y.raw()}));
  EXPECT_THAT(read_all(folder / "plans.json"), HasSubstr(name_of(problem)));
}

// A slice may begin where cuDNN cannot read or write.
TEST_P(Conv2dCudaTest, TakesSlicesThatBeginAnywhere) {
  const Tensor batch = constant(random_values(1, 3 * 5 * 5 * 3), {3, 5, 5, 3});
  const Tensor w = constant(random_values(2, 8 * 3 * 3 * 3), {8, 3, 3, 3});
  const NoGrad no_grad;
  const Conv2dParams params{.padding = 1};
  expect_identical(conv2d(batch.slice(1, 3), w, {}, params),
                   conv2d(batch.slice(1, 3).clone(), w, {}, params));
}

}  // namespace
}  // namespace invp::testing
