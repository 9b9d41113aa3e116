// Every convolution of the networks is asked of cuDNN for a described A100 and H100: neither needs
// to be here, nothing is run. What cuDNN refuses would silently fall back to the plain kernels.
#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <set>
#include <sstream>

#include "engine/ops/conv/conv2d_cudnn_cuda.h"

namespace invp::cuda {
namespace {

constexpr const char* kA100 = R"json({
  "cudaDeviceId": 0, "deviceVer": 800, "driverVer": 13000, "deviceName": "NVIDIA A100-SXM4-80GB",
  "totalGlobalMem": 85097971712, "multiProcessorCount": 108, "l2CacheSize": 41943040,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 166912,
  "reservedSharedMemoryPerBlock": 1024, "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
  "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "warpSize": 32,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "pciDeviceId": 0,
  "isTccDriver": 0, "supportCoopLaunch": 1, "smClockRateKHz": 1410000, "memClockRateKHz": 1593000})json";

constexpr const char* kH100 = R"json({
  "cudaDeviceId": 0, "deviceVer": 900, "driverVer": 13000, "deviceName": "NVIDIA H100 80GB HBM3",
  "totalGlobalMem": 85029158912, "multiProcessorCount": 132, "l2CacheSize": 52428800,
  "maxSharedMemoryPerBlock": 49152, "maxSharedMemoryPerBlockOptin": 232448,
  "reservedSharedMemoryPerBlock": 1024, "regsPerBlock": 65536, "maxRegistersPerSM": 65536,
  "maxCtasPerSM": 32, "maxThreadsPerBlock": 1024, "maxThreadsPerSM": 2048, "warpSize": 32,
  "maxGridSize": [2147483647, 65535, 65535], "maxBlockSize": [1024, 1024, 64], "pciDeviceId": 0,
  "isTccDriver": 0, "supportCoopLaunch": 1, "smClockRateKHz": 1980000, "memClockRateKHz": 2619000})json";

struct Network {
  bool cifar;
  bool bottlenecks;
  std::int64_t width;
};

/// The convolutions of a network on a batch of 128. How many blocks a stage has does not matter:
/// those after the second repeat its shapes.
std::set<Conv2dShape> convolutions(const Network& network) {
  std::set<Conv2dShape> shapes;
  const auto add = [&](std::int64_t size, std::int64_t in, std::int64_t out, int window,
                       int stride) {
    const Conv2dParams params{.stride = stride, .padding = window / 2};
    const std::int64_t result = (size + 2 * params.padding - window) / stride + 1;
    shapes.insert({128, size, size, in, out, window, window, result, result, params});
    return result;
  };
  std::int64_t size = network.cifar ? add(32, 3, network.width, 3, 1)
                                    : add(224, 3, network.width, 7, 2) / 2;  // then the pool
  std::int64_t in = network.width;
  for (int stage = 0; stage < 4; ++stage) {
    const std::int64_t width = network.width << stage;
    const std::int64_t out = network.bottlenecks ? 4 * width : width;
    for (const int stride : {stage == 0 ? 1 : 2, 1}) {
      if (stride > 1 || in != out) add(size, in, out, 1, stride);
      if (network.bottlenecks) add(size, in, width, 1, 1);
      const std::int64_t next = add(size, network.bottlenecks ? width : in, width, 3, stride);
      network.bottlenecks ? add(next, width, out, 1, 1) : add(next, width, width, 3, 1);
      size = next;
      in = out;
    }
  }
  return shapes;
}

std::set<Conv2dShape> all_convolutions() {
  std::set<Conv2dShape> shapes;
  for (const Network& network :
       {Network{false, false, 64}, Network{false, true, 64}, Network{true, false, 64},
        Network{true, true, 64}, Network{true, false, 16}, Network{true, true, 16}}) {
    shapes.merge(convolutions(network));
  }
  return shapes;
}

/// What the engine asks for a convolution in training and, last, in inference.
std::vector<ConvolutionProblem> problems(const Conv2dShape& shape, DType dtype, bool tf32) {
  using enum ConvolutionPass;
  std::vector<ConvolutionProblem> all;
  for (const ConvolutionPass pass : {kForward, kBackwardWeight, kBackwardInput}) {
    if (pass == kBackwardInput && shape.C == 3) continue;  // pixels get no gradient
    all.push_back({.pass = pass, .shape = shape, .dtype = dtype, .allow_tf32 = tf32});
  }
  all.push_back({.pass = kForward,
                 .shape = shape,
                 .dtype = dtype,
                 .allow_tf32 = tf32,
                 .bias = true,
                 .relu = true});
  return all;
}

bool has_plan(ConvolutionGraph& graph) {
  return std::ranges::any_of(graph.plans(),
                             [&](const std::string& plan) { return graph.take(plan); });
}

/// The plans of a network for H100 that multiply f32 as f32: those left when plans that round to
/// TF32 are deselected, or with `allow_tf32` all plans there are.
std::string f32_plans(bool allow_tf32) {
  std::ostringstream list;
  for (const Conv2dShape& shape : convolutions({false, true, 64})) {
    for (const ConvolutionProblem& problem : problems(shape, DType::kF32, allow_tf32)) {
      ConvolutionGraph graph(problem, kH100);
      for (const std::string& plan : graph.plans()) {
        if (graph.take(plan)) list << static_cast<int>(problem.pass) << ' ' << plan << '\n';
      }
    }
  }
  return std::move(list).str();
}

/// What f32_plans returns in a process of its own, for which TF32 is forbidden if `forbid`.
std::string f32_plans_of_a_process(bool allow_tf32, bool forbid) {
  std::array<int, 2> ends{};
  EXPECT_EQ(pipe(ends.data()), 0);
  const pid_t child = fork();
  if (child == 0) {
    if (forbid) setenv("NVIDIA_TF32_OVERRIDE", "0", 1);
    const std::string list = f32_plans(allow_tf32);
    const bool written = write(ends[1], list.data(), list.size()) == std::ssize(list);
    _exit(written ? 0 : 1);
  }
  close(ends[1]);
  std::string list;
  std::array<char, 4096> part{};
  for (ssize_t size = 1; size > 0;) {
    size = read(ends[0], part.data(), part.size());
    if (size > 0) list.append(part.data(), static_cast<std::size_t>(size));
  }
  close(ends[0]);
  int status = 1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  return list;
}

// NVIDIA's libraries refuse TF32 altogether when NVIDIA_TF32_OVERRIDE=0 is set before they are
// first used, which is why this test goes first. Selecting plans must come to the same, plan for
// plan.
TEST(CudnnGraphs, ForbiddingTf32LeavesWhatTheEnvironmentVariableLeaves) {
  const std::string selected = f32_plans_of_a_process(false, false);
  EXPECT_EQ(selected, f32_plans_of_a_process(true, true));
  EXPECT_NE(selected, f32_plans_of_a_process(true, false));
}

struct Target {
  const char* name;
  const char* device;
  DType dtype;
  bool tf32;
};

class CudnnGraphsTest : public ::testing::TestWithParam<Target> {};

TEST_P(CudnnGraphsTest, EveryConvolutionHasAPlan) {
  for (const Conv2dShape& shape : all_convolutions()) {
    for (const ConvolutionProblem& problem : problems(shape, GetParam().dtype, GetParam().tf32)) {
      SCOPED_TRACE(name_of(problem));
      ConvolutionGraph graph(problem, GetParam().device);
      EXPECT_TRUE(has_plan(graph));
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Targets, CudnnGraphsTest,
                         ::testing::Values(Target{"A100_bf16", kA100, DType::kBF16, false},
                                           Target{"A100_tf32", kA100, DType::kF32, true},
                                           Target{"A100_f32", kA100, DType::kF32, false},
                                           Target{"H100_bf16", kH100, DType::kBF16, false},
                                           Target{"H100_tf32", kH100, DType::kF32, true},
                                           Target{"H100_f32", kH100, DType::kF32, false}),
                         [](const auto& test) { return test.param.name; });

// What a plan file says is found again by name.
TEST(CudnnGraphs, TheSamePlansAreNamedEveryTime) {
  for (const Conv2dShape& shape : convolutions({true, false, 64})) {
    for (const ConvolutionProblem& problem : problems(shape, DType::kBF16, false)) {
      ConvolutionGraph first(problem, kH100);
      ConvolutionGraph second(problem, kH100);
      EXPECT_EQ(first.plans(), second.plans());
      ASSERT_TRUE(has_plan(first));
      ASSERT_TRUE(has_plan(second));
      EXPECT_EQ(first.workspace_bytes(), second.workspace_bytes());
    }
  }
}

TEST(CudnnGraphs, PlansThatAreNotOfferedAreRefused) {
  ConvolutionGraph graph(problems(*all_convolutions().begin(), DType::kF32, false).front(), kH100);
  EXPECT_FALSE(graph.take("eng123456_k2=0"));
  EXPECT_FALSE(graph.take(graph.plans().front()));  // rounds to TF32
}

// A plan file is looked up by the name.
TEST(CudnnGraphs, NamesTellProblemsApart) {
  std::set<ConvolutionProblem> all;
  std::set<std::string> names;
  for (const Conv2dShape& shape : all_convolutions()) {
    for (const bool tf32 : {false, true}) {
      for (const DType dtype : {DType::kF32, DType::kBF16}) {
        if (tf32 && dtype == DType::kBF16) continue;
        for (const ConvolutionProblem& problem : problems(shape, dtype, tf32)) {
          all.insert(problem);
          names.insert(name_of(problem));
        }
      }
    }
  }
  EXPECT_EQ(names.size(), all.size());
}

TEST(CudnnGraphs, WhatCudnnDoesNotComputeHasNoPlan) {
  // Filters larger than the padded images: conv2d() refuses them before.
  const Conv2dShape shape{
      .N = 1, .H = 2, .W = 2, .C = 8, .K = 8, .R = 5, .S = 5, .P = 0, .Q = 0, .params = {}};
  ConvolutionGraph graph({.pass = ConvolutionPass::kForward, .shape = shape, .dtype = DType::kF32},
                         kH100);
  EXPECT_THAT(graph.plans(), ::testing::IsEmpty());
  EXPECT_FALSE(graph.take("eng0"));
}

}  // namespace
}  // namespace invp::cuda
